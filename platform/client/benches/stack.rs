//! What all measures around a call cost: this client against a bare hyper connection, over real
//! sockets, in the same run.
//!
//! Each side runs on a thread of its own, whose processor time is read (`CLOCK_THREAD_CPUTIME_ID`),
//! against the same small server on another thread. Rounds alternate; medians count.
//!
//! `cargo bench -p backline-client --bench stack`

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::{convert::Infallible, net::SocketAddr, sync::mpsc, thread, time::Duration};

use backline_client::{Client, Discovery};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    time::Instant,
};

const ROUNDS: usize = 15;
const CALLS: u32 = 4_000;

fn main() {
    let address = serve();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let pair = [on_a_thread(address, bare_calls), on_a_thread(address, our_calls)];
        if round > 0 {
            bare.push(pair[0]);
            ours.push(pair[1]);
        }
    }
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    println!("per call            processor time    elapsed      calls/s");
    for (name, figures) in [("bare hyper", bare), ("backline-client", ours)] {
        println!(
            "{name:16} {:12.2} us {:9.2} us {:12.0}",
            figures.cpu_us,
            figures.wall_us,
            1e6 / figures.wall_us
        );
    }
    println!(
        "all measures        {:9.2} us {:9.2} us {:10.1} % less",
        ours.cpu_us - bare.cpu_us,
        ours.wall_us - bare.wall_us,
        100.0 * (1.0 - bare.wall_us / ours.wall_us)
    );
}

#[derive(Clone, Copy)]
struct Figures {
    cpu_us: f64,
    wall_us: f64,
}

fn median(all: &mut [Figures]) -> Figures {
    let mut of = |value: fn(&Figures) -> f64| {
        all.sort_by(|a, b| value(a).total_cmp(&value(b)));
        value(&all[all.len() / 2])
    };
    Figures { cpu_us: of(|f| f.cpu_us), wall_us: of(|f| f.wall_us) }
}

fn on_a_thread(address: SocketAddr, calls: fn(&Runtime, SocketAddr)) -> Figures {
    let measured = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (cpu, wall) = (thread_time(), Instant::now());
        calls(&runtime, address);
        let per_call = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(CALLS);
        Figures { cpu_us: per_call(thread_time() - cpu), wall_us: per_call(wall.elapsed()) }
    });
    measured.join().expect("no panic")
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below 1 s"))
}

fn our_calls(runtime: &Runtime, address: SocketAddr) {
    runtime.block_on(async {
        let discovery = Discovery::from_url(&format!("static:bench={address}"), "bench-1");
        let client: Client = discovery.expect("a URL").client("bench");
        for _ in 0..CALLS {
            let answer = client.get("/bench").send().await.expect("an answer");
            assert_eq!(answer.body().len(), 5);
        }
    });
}

fn bare_calls(runtime: &Runtime, address: SocketAddr) {
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let (mut sender, connection) =
            http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection);
        for _ in 0..CALLS {
            let body = bare_call(&mut sender, address).await;
            assert_eq!(body.len(), 5);
        }
    });
}

async fn bare_call(sender: &mut SendRequest<Full<Bytes>>, address: SocketAddr) -> Bytes {
    // The headers that the client sends too: what is compared is what it does besides.
    let request = Request::get("/bench")
        .header("host", address.to_string())
        .header("backline-to", "bench")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("backline-correlation", "0af7651916cd43dd8448eb211c80319c")
        .header("user-agent", "backline-client/0.1.0 bench-1")
        .header("backline-timeout", "5000")
        .body(Full::new(Bytes::new()))
        .expect("a request");
    sender.ready().await.expect("it is ready");
    let answer = sender.send_request(request).await.expect("an answer");
    answer.into_body().collect().await.expect("a body").to_bytes()
}

/// A small server on a thread of its own.
fn serve() -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("no delay");
                let service = service_fn(async |_: Request<Incoming>| {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    told.recv().expect("it listens")
}
