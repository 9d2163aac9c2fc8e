use super::{Estate, TIMINGS, entry, fakes};
use crate::live::MOST;

/// The address of the page's stream.
async fn stream_of(estate: &Estate, path: &str) -> String {
    let page = estate.get(path).await.body;
    let from = page.find("data-live=\"").expect("a stream") + "data-live=\"".len();
    page[from..].split('"').next().expect("its end").to_owned()
}

#[tokio::test]
async fn a_page_is_pushed_when_it_changes_and_not_otherwise() {
    let estate = Estate::usual().await;
    let stream = stream_of(&estate, "/").await;
    let mut events = estate.watch(&stream).await;
    for _ in 0..5 {
        let (name, _) = events.next().await.expect("it goes on");
        assert_eq!(name, "as-of", "nothing has changed");
    }
    estate.registry.set(&[entry("email", "email-1", 4003, "warning")]);
    let main = events.main().await;
    assert!(main.contains("email-1") && main.contains("warning"), "{main}");
    estate.monitor.set(&[fakes::late("a")]);
    let main = events.main().await;
    assert!(main.contains("late"), "{main}");
}

#[tokio::test]
async fn what_is_pushed_is_what_a_reload_shows() {
    let estate = Estate::usual().await;
    estate.monitor.set(&[fakes::late("a")]);
    for path in ["/", "/processes", "/processes/a"] {
        let page = estate.get(path).await.body;
        // Who does not say what it has gets everything at once.
        let main = estate
            .watch(&format!("/live{}", if path == "/" { "/services" } else { path }))
            .await
            .main()
            .await;
        assert!(page.contains(main.trim()), "{path}: {main}");
    }
}

#[tokio::test]
async fn the_page_of_a_process_follows_it() {
    let estate = Estate::usual().await;
    let stream = stream_of(&estate, "/processes/a").await;
    let mut events = estate.watch(&stream).await;
    estate.monitor.set(&[fakes::late("a")]);
    assert!(events.main().await.contains("late"));
    estate.monitor.set(&[fakes::complete("a")]);
    assert!(events.main().await.contains("complete"));
}

#[tokio::test]
async fn all_watchers_share_one_read_of_the_monitor_and_without_any_there_is_none() {
    let estate = Estate::usual().await;
    let before = estate.monitor.asked();
    let started = tokio::time::Instant::now();
    let mut watchers = Vec::new();
    for path in ["/live/services", "/live/processes"].repeat(10) {
        watchers.push(estate.watch(path).await);
    }
    for watcher in &mut watchers {
        for _ in 0..10 {
            watcher.next().await.expect("it goes on");
        }
    }
    let asked = estate.monitor.asked() - before;
    // A read is reused for nine tenths of the time between two.
    let most = started.elapsed().as_secs_f64() / TIMINGS.poll.as_secs_f64() / 0.9 + 2.0;
    assert!((asked as f64) < most, "{asked} reads, and {most} would be enough");
    drop(watchers);
    while estate.console.live.watched() > 0 {
        tokio::task::yield_now().await;
    }
    let after = estate.monitor.asked();
    estate.registry.set(&[entry("email", "email-1", 4003, "passing")]);
    estate.get("/api/services").await;
    assert_eq!(estate.monitor.asked(), after);
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let estate = Estate::usual().await;
    let mut watchers = Vec::new();
    for _ in 0..MOST {
        let mut watcher = estate.watch("/live/services").await;
        watcher.next().await.expect("an event");
        watchers.push(watcher);
    }
    let refused = estate.get("/live/services").await;
    assert_eq!(refused.status(), "503");
    assert!(refused.body.contains("urn:backline:error:too-many-watchers"), "{}", refused.body);
    assert_eq!(estate.get("/").await.status(), "200", "pages are for everybody");
}

#[tokio::test]
async fn streams_end_at_once_when_the_console_is_asked_to_end() {
    let estate = Estate::usual().await;
    let mut events = estate.watch("/live/services").await;
    events.main().await;
    estate.drain.cancel();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(1), async {
        while events.next().await.is_some_and(|(name, _)| !name.is_empty()) {}
    });
    ended.await.expect("the end, well before the drain's limit");
}
