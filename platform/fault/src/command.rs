//! `backline fault`.

use std::{
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    process::ExitCode,
    time::Duration,
};

use crate::{Dribble, Faults, Flow, Proxy};

/// Stands between a client and a server, and makes the network between them bad, until Ctrl-C.
/// Latency, bandwidth, dribble, cut and slow close are on the way back to the client.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where clients connect to, on this machine; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The server, such as 127.0.0.1:8080
    #[arg(long)]
    to: SocketAddr,
    /// How much later each byte arrives, such as 200ms
    #[arg(long, default_value = "0ms", value_parser = duration)]
    latency: Duration,
    /// By how much the latency is longer or shorter
    #[arg(long, default_value = "0ms", value_parser = duration)]
    jitter: Duration,
    /// Bytes per second of each connection, such as 64KiB
    #[arg(long, value_parser = size)]
    bandwidth: Option<NonZeroU64>,
    /// Cut each connection after this many bytes
    #[arg(long, value_name = "BYTES")]
    cut_after: Option<u64>,
    /// At most so many bytes at once, and a pause after them, such as 10:100ms
    #[arg(long, value_name = "BYTES:PAUSE", value_parser = dribble)]
    dribble: Option<Dribble>,
    /// How much later the end of the answers arrives
    #[arg(long, default_value = "0ms", value_parser = duration)]
    slow_close: Duration,
    /// Reset each connection: at once, or where --cut-after cuts it
    #[arg(long)]
    reset: bool,
    /// Accept connections, and pass nothing on
    #[arg(long)]
    black_hole: bool,
    /// Refuse connections
    #[arg(long)]
    refuse: bool,
    /// Where the jitter begins: the same seed gives the same jitter
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs `backline fault`. The exit code is 0 after Ctrl-C, 1 when it cannot listen, 2 for wrong
/// arguments.
#[must_use]
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the command talks to people")]
pub fn command(args: Args) -> ExitCode {
    let proxy = match Proxy::listening(args.listen, args.to) {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("backline fault: cannot listen on {}: {error}", args.listen);
            let wrong = error.kind() == std::io::ErrorKind::InvalidInput;
            return ExitCode::from(if wrong { 2 } else { 1 });
        }
    };
    proxy.set(args.faults());
    println!("{} passes on to {}; Ctrl-C ends it", proxy.address(), args.to);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Err(error) = runtime.and_then(|runtime| runtime.block_on(tokio::signal::ctrl_c())) {
        eprintln!("backline fault: cannot wait for Ctrl-C: {error}");
        return ExitCode::FAILURE;
    }
    let counts = proxy.counts();
    println!(
        "{} connections, {} bytes to the server, {} bytes back",
        counts.total, counts.bytes_up, counts.bytes_down
    );
    ExitCode::SUCCESS
}

impl Args {
    fn faults(&self) -> Faults {
        let down = Flow {
            latency: self.latency,
            jitter: self.jitter,
            bandwidth: self.bandwidth,
            dribble: self.dribble,
            cut_after: self.cut_after,
            slow_close: self.slow_close,
        };
        Faults {
            down,
            up: Flow::default(),
            reset: self.reset,
            black_hole: self.black_hole,
            refuse: self.refuse,
            seed: self.seed,
        }
    }
}

/// `250ms` or `2s`.
fn duration(text: &str) -> Result<Duration, String> {
    let right = || format!("'{text}' is no time: give 250ms or 2s, an hour at most");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').ok_or_else(right)?, 1.0),
    };
    let seconds = number.parse::<f64>().map_err(|_| right())? * unit;
    if !(0.0..=3600.0).contains(&seconds) {
        return Err(right());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// `500`, `64KiB` or `1MiB`.
fn size(text: &str) -> Result<NonZeroU64, String> {
    let (number, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(number), _) => (number, 1 << 10),
        (_, Some(number)) => (number, 1 << 20),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .and_then(NonZeroU64::new)
        .ok_or_else(|| format!("'{text}' is no size above 0: give 500, 64KiB or 1MiB"))
}

/// `10:100ms`.
fn dribble(text: &str) -> Result<Dribble, String> {
    let right = || format!("'{text}' is no dribble: give bytes and a pause, such as 10:100ms");
    let (bytes, every) = text.split_once(':').ok_or_else(right)?;
    let bytes = bytes.parse::<NonZeroUsize>().map_err(|_| right())?;
    Ok(Dribble { bytes, every: duration(every).map_err(|_| right())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_dribbles_are_read() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(size("64KiB").map(NonZeroU64::get), Ok(65_536));
        let read = dribble("10:100ms").unwrap();
        assert_eq!((read.bytes.get(), read.every), (10, Duration::from_millis(100)));
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_what_would_be_right() {
        for wrong in ["", "5", "-1s", "NaNs", "2h", "7200s"] {
            assert!(duration(wrong).unwrap_err().contains("250ms"), "{wrong}");
        }
        for wrong in ["0", "-1", "64kb", "99999999999999999MiB"] {
            assert!(size(wrong).unwrap_err().contains("64KiB"), "{wrong}");
        }
        for wrong in ["10", "0:1s", "10:x"] {
            assert!(dribble(wrong).unwrap_err().contains("10:100ms"), "{wrong}");
        }
    }
}
