//! Each fault, between a blocking client and a real echo server.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    num::{NonZeroU64, NonZeroUsize},
    thread,
    time::{Duration, Instant},
};

use backline_fault::{Dribble, Faults, Flow, Proxy};

/// No answer of a server that is well takes as long.
const LIMIT: Duration = Duration::from_secs(10);
/// Silence for so long is taken for silence.
const SILENCE: Duration = Duration::from_millis(200);

/// Echoes each connection to its end. Its threads end with the connections, or the process.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut back = stream.try_clone().expect("a second handle");
                let _ = std::io::copy(&mut stream, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).expect("connected");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends `bytes`, and says how long all of them took to come back.
fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    stream.write_all(bytes).expect("sent");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("echoed");
    assert!(back == bytes, "other bytes came back");
    begun.elapsed()
}

fn down(down: Flow) -> Faults {
    Faults { down, ..Faults::default() }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Waits by asking the proxy, which lives in this process.
fn until(proxy: &Proxy, what: &str, ready: impl Fn(&Proxy) -> bool) {
    let begun = Instant::now();
    while !ready(proxy) {
        assert!(begun.elapsed() < LIMIT, "waited for {what}, in vain: {:?}", proxy.counts());
        thread::park_timeout(ms(2));
    }
}

#[test]
fn without_faults_all_bytes_pass_and_are_counted() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    let many: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut writer = stream.try_clone().expect("a second handle");
    let sent = many.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).expect("sent");
        writer.shutdown(Shutdown::Write).expect("shut down");
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("echoed to the end");
    writing.join().expect("written");
    assert!(back == many, "other bytes came back");
    until(&proxy, "the connection's end", |proxy| proxy.counts().open == 0);
    let counts = proxy.counts();
    assert_eq!((counts.total, counts.bytes_up, counts.bytes_down), (1, 1_000_000, 1_000_000));
}

#[test]
fn latency_holds_up_each_direction() {
    let proxy = Proxy::start(echo());
    let slow = |by| Flow { latency: ms(by), ..Flow::default() };
    let mut stream = connect(&proxy);
    proxy.set(Faults { up: slow(50), down: slow(100), ..Faults::default() });
    let took = round_trip(&mut stream, b"hello");
    assert!((ms(150)..ms(1000)).contains(&took), "{took:?}");
    proxy.set(Faults::default());
    let took = round_trip(&mut stream, b"hello");
    assert!(took < ms(150), "{took:?}");
}

#[test]
fn latency_does_not_make_the_line_narrow() {
    let proxy = Proxy::start(echo());
    proxy.set(down(Flow { latency: ms(100), ..Flow::default() }));
    let took = round_trip(&mut connect(&proxy), &[7; 400_000]);
    // All parts are on their way together.
    assert!((ms(100)..ms(2000)).contains(&took), "{took:?}");
}

#[test]
fn jitter_makes_some_later_than_others_and_keeps_the_order() {
    let proxy = Proxy::start(echo());
    proxy.set(down(Flow { latency: ms(60), jitter: ms(60), ..Flow::default() }));
    let mut stream = connect(&proxy);
    let took: Vec<_> = (0..8).map(|_| round_trip(&mut stream, b"x")).collect();
    let (least, most) = (took.iter().min(), took.iter().max());
    assert!(least < Some(&ms(60)) && most > Some(&ms(60)), "{took:?}");
    let counted: Vec<u8> = (0..50).collect();
    for byte in &counted {
        stream.write_all(&[*byte]).expect("sent");
        thread::yield_now();
    }
    let mut back = [0; 50];
    stream.read_exact(&mut back).expect("echoed");
    assert_eq!(back.as_slice(), counted);
}

#[test]
fn bandwidth_is_what_was_asked_for() {
    let proxy = Proxy::start(echo());
    proxy.set(down(Flow { bandwidth: NonZeroU64::new(100_000), ..Flow::default() }));
    let took = round_trip(&mut connect(&proxy), &[7; 50_000]);
    assert!((ms(440)..ms(1500)).contains(&took), "{took:?}");
}

#[test]
fn a_dribble_comes_in_small_parts() {
    let proxy = Proxy::start(echo());
    let dribble = NonZeroUsize::new(10).map(|bytes| Dribble { bytes, every: ms(50) });
    proxy.set(down(Flow { dribble, ..Flow::default() }));
    let mut stream = connect(&proxy);
    stream.write_all(&[7; 50]).expect("sent");
    let (begun, mut parts) = (Instant::now(), Vec::new());
    while parts.iter().sum::<usize>() < 50 {
        let mut buffer = [0; 50];
        parts.push(stream.read(&mut buffer).expect("a part"));
    }
    // A client that was not run for a while may read two parts at once.
    assert!(parts.len() >= 4 && parts[0] == 10, "{parts:?}");
    assert!(begun.elapsed() >= ms(190), "{:?}", begun.elapsed());
}

#[test]
fn other_faults_end_a_long_pause() {
    let proxy = Proxy::start(echo());
    let dribble =
        NonZeroUsize::new(1).map(|bytes| Dribble { bytes, every: Duration::from_secs(600) });
    proxy.set(down(Flow { dribble, ..Flow::default() }));
    let mut stream = connect(&proxy);
    stream.write_all(b"hello").expect("sent");
    stream.read_exact(&mut [0; 1]).expect("the first byte");
    proxy.set(Faults::default());
    stream.read_exact(&mut [0; 4]).expect("the rest");
}

#[test]
fn a_cut_comes_after_exactly_so_many_bytes() {
    let proxy = Proxy::start(echo());
    proxy.set(down(Flow { cut_after: Some(7), ..Flow::default() }));
    let mut stream = connect(&proxy);
    stream.write_all(b"hello, world").expect("sent");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("an orderly end");
    assert_eq!(back, b"hello, ");
    until(&proxy, "the connection's end", |proxy| proxy.counts().open == 0);
    assert_eq!(proxy.counts().bytes_down, 7);
}

#[test]
fn a_cut_by_reset_is_a_reset() {
    let proxy = Proxy::start(echo());
    let cut = down(Flow { cut_after: Some(7), ..Flow::default() });
    proxy.set(Faults { reset: true, ..cut });
    let mut stream = connect(&proxy);
    stream.write_all(b"hello, world").expect("sent");
    let mut back = Vec::new();
    let error = stream.read_to_end(&mut back).expect_err("no orderly end");
    assert_eq!((error.kind(), back.as_slice()), (ErrorKind::ConnectionReset, &b"hello, "[..]));
}

#[test]
fn reset_ends_what_exists_and_what_comes() {
    let proxy = Proxy::start(echo());
    let mut before = connect(&proxy);
    round_trip(&mut before, b"hello");
    proxy.set(Faults { reset: true, ..Faults::default() });
    for stream in [&mut before, &mut connect(&proxy)] {
        let error = stream.read(&mut [0; 1]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    proxy.set(Faults::default());
    round_trip(&mut connect(&proxy), b"hello");
}

#[test]
fn the_end_is_passed_on_slowly() {
    let proxy = Proxy::start(echo());
    proxy.set(down(Flow { slow_close: ms(300), ..Flow::default() }));
    let mut stream = connect(&proxy);
    let took = round_trip(&mut stream, b"hello");
    assert!(took < ms(290), "{took:?}");
    let begun = Instant::now();
    stream.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(stream.read(&mut [0; 1]).expect("an orderly end"), 0);
    assert!(begun.elapsed() >= ms(290), "{:?}", begun.elapsed());
}

#[test]
fn a_black_hole_accepts_and_says_nothing_until_it_is_over() {
    let proxy = Proxy::start(echo());
    let mut before = connect(&proxy);
    round_trip(&mut before, b"hello");
    proxy.set(Faults { black_hole: true, ..Faults::default() });
    let mut streams = [before, connect(&proxy)];
    for stream in &mut streams {
        stream.set_read_timeout(Some(SILENCE)).expect("a limit");
        stream.write_all(b"anybody?").expect("sent");
        let silent = stream.read(&mut [0; 1]).expect_err("silence").kind();
        assert_eq!(silent, ErrorKind::WouldBlock);
    }
    proxy.set(Faults::default());
    for stream in &mut streams {
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let mut back = [0; 8];
        stream.read_exact(&mut back).expect("what was said meanwhile");
        assert_eq!(&back, b"anybody?");
    }
}

#[test]
fn connections_are_refused_and_taken_again_at_the_same_port() {
    let proxy = Proxy::start(echo());
    let mut before = connect(&proxy);
    round_trip(&mut before, b"hello");
    for _ in 0..3 {
        proxy.set(Faults { refuse: true, ..Faults::default() });
        let error = TcpStream::connect(proxy.address()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        round_trip(&mut before, b"still there");
        proxy.set(Faults::default());
        round_trip(&mut connect(&proxy), b"hello");
    }
}

#[test]
fn all_are_cut_and_new_ones_pass() {
    let proxy = Proxy::start(echo());
    let mut streams = [connect(&proxy), connect(&proxy)];
    for stream in &mut streams {
        round_trip(stream, b"hello");
    }
    assert_eq!(proxy.counts().open, 2);
    proxy.cut_all();
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 1]).expect("an orderly end"), 0);
    }
    round_trip(&mut connect(&proxy), b"hello");
    until(&proxy, "the last connection's end", |proxy| proxy.counts().open == 0);
    assert_eq!(proxy.counts().total, 3);
}

#[test]
fn a_server_that_is_away_is_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let away = listener.local_addr().expect("an address");
    drop(listener);
    let proxy = Proxy::start(away);
    let error = connect(&proxy).read(&mut [0; 1]).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_dropped_proxy_leaves_neither_port_nor_connection() {
    let proxy = Proxy::start(echo());
    let address = proxy.address();
    let mut stream = connect(&proxy);
    round_trip(&mut stream, b"hello");
    drop(proxy);
    assert_eq!(stream.read(&mut [0; 1]).expect("an end"), 0);
    let error = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn it_listens_on_loopback_only() {
    let error = Proxy::listening("0.0.0.0:0".parse().expect("an address"), echo())
        .expect_err("open to all the world");
    assert!(error.to_string().contains("127.0.0.1:0"), "{error}");
}

#[tokio::test]
async fn async_tests_can_use_it_too() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let proxy = Proxy::start(echo());
    let mut stream = tokio::net::TcpStream::connect(proxy.address()).await.expect("connected");
    stream.write_all(b"hello").await.expect("sent");
    stream.read_exact(&mut [0; 5]).await.expect("echoed");
    proxy.set(Faults { refuse: true, ..Faults::default() });
    tokio::net::TcpStream::connect(proxy.address()).await.expect_err("refused");
}

#[test]
fn an_answer_before_a_reset_still_arrives() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Proxy::start(server.local_addr().expect("an address"));
    proxy.set(down(Flow { latency: ms(50), ..Flow::default() }));
    let mut client = connect(&proxy);
    client.write_all(b"too much").expect("sent");
    let (mut served, _) = server.accept().expect("a connection");
    served.peek(&mut [0]).expect("a byte");
    served.write_all(b"413").expect("sent");
    // Closed with what came unread: a reset.
    drop(served);
    let mut answer = [0; 3];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"413");
    let end = client.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(end, Err(ErrorKind::ConnectionReset) | Ok(0)), "{end:?}");
}

#[test]
fn a_latency_without_end_can_be_lifted() {
    let proxy = Proxy::start(echo());
    proxy.set(down(Flow { latency: Duration::MAX, jitter: Duration::MAX, ..Flow::default() }));
    let mut stuck = connect(&proxy);
    stuck.write_all(b"hello").expect("sent");
    proxy.set(Faults::default());
    round_trip(&mut connect(&proxy), b"hello");
    assert_eq!(proxy.counts().total, 2);
    assert_eq!(proxy.counts().open, 2, "the first still waits");
}

#[tokio::test]
async fn a_taken_address_is_an_error_in_async_tests_too() {
    let taken = echo();
    let error = Proxy::listening(taken, taken).expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}
