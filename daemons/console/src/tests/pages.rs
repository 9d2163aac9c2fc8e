use serde_json::json;

use super::{Estate, entry, fakes};

#[tokio::test]
async fn the_overview_shows_every_instance_with_its_health_in_words() {
    let estate = Estate::usual().await;
    let page = estate.get("/").await;
    assert_eq!(page.status(), "200");
    assert!(
        page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'")
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    for part in [
        "customers-1",
        "customers-2",
        "1 of 2 passing",
        "critical",
        "connection refused",
        "customer team",
        "href=\"http://127.0.0.1:4001/docs\"",
        "href=\"http://127.0.0.1:4001/openapi.json\"",
        "href=\"http://127.0.0.1:4001/schemas/events.json\"",
        "href=\"http://127.0.0.1:4001/events\"",
        "href=\"http://127.0.0.1:8080/customers\"",
        "data-told=\"1 service, 3 instances, 1 unhealthy.\"",
        "data-live=\"/live/services?have=",
    ] {
        assert!(page.body.contains(part), "{part} is missing: {}", page.body);
    }
}

#[tokio::test]
async fn styles_and_scripts_are_files_of_the_console() {
    let estate = Estate::with(&[]).await;
    for (path, media_type) in [("css", "text/css"), ("js", "text/javascript")] {
        let file = estate.get(&format!("/assets/console.{path}")).await;
        assert!(file.status() == "200" && file.header("content-type").starts_with(media_type));
        assert!(!file.body.is_empty());
    }
    for path in ["/", "/processes", "/processes/a"] {
        let page = estate.get(path).await.body;
        assert!(!page.contains("style=") && !page.contains("<style"), "{path}: {page}");
        assert_eq!(page.matches("<script").count(), 1, "{path}: {page}");
    }
}

#[tokio::test]
async fn a_process_is_drawn_with_its_counts_and_its_instances() {
    let estate = Estate::usual().await;
    estate.monitor.set(&[fakes::late("f00dfeedbeef"), fakes::complete("a")]);
    let page = estate.page_with("/processes", "f00dfeed…").await;
    for part in [
        "<svg role=\"img\" aria-label=\"Flowchart of Creating a customer",
        "Customer created after",
        "href=\"http://127.0.0.1:8080/customers/f00dfeedbeef\"",
        "href=\"/processes/f00dfeedbeef\"",
        "120 ms",
        "unexpected: customer.closed of customers",
        "data-title=\"1 late · Processes\"",
    ] {
        let part = part.replace("Customer created after", "Welcome mail sent after created");
        assert!(page.contains(&part), "{part} is missing: {page}");
    }
}

#[tokio::test]
async fn one_instance_is_shown_in_detail_and_an_unknown_one_is_not_found() {
    let estate = Estate::usual().await;
    assert_eq!(estate.get("/processes/b").await.status(), "404");
    estate.monitor.set(&[fakes::late("b")]);
    let page = estate.get("/processes/b").await;
    assert_eq!(page.status(), "200");
    for part in [
        "Creating a customer · late",
        "e-1",
        "due <time datetime=\"2026-01-02T03:04:15Z\"",
        "2 s after the start",
        "<code>customer.closed</code>",
    ] {
        assert!(page.body.contains(part), "{part} is missing: {}", page.body);
    }
    let long = "a".repeat(300);
    assert_eq!(estate.get(&format!("/processes/{long}")).await.status(), "400");
}

#[tokio::test]
async fn hostile_names_stay_text() {
    const EVIL: &str = "\"><script>alert(1)</script><b x='";
    let mut evil = entry(EVIL, EVIL, 4001, "critical");
    evil["Service"]["Address"] = json!("evil.example/x?");
    for key in ["about", "owner", "version", "zone", "started"] {
        evil["Service"]["Meta"][key] = json!(EVIL);
    }
    evil["Service"]["Meta"]["docs"] = json!("//evil.example/");
    evil["Checks"][0]["Output"] = json!(EVIL);
    let estate = Estate::with(&[evil]).await;
    let mut instance = fakes::late("x");
    for key in ["subject", "correlation", "started"] {
        instance[key] = json!(EVIL);
    }
    instance["unexpected"][0]["event"] = json!(EVIL);
    instance["steps"][0]["event_id"] = json!(EVIL);
    let mut elsewhere = fakes::complete("y");
    elsewhere["subject"] = json!("javascript:alert(1)");
    let mut farther = fakes::complete("z");
    farther["subject"] = json!("//evil.example/");
    estate.monitor.set(&[instance, elsewhere, farther]);
    let overview = estate.page_with("/", "alert(1)").await;
    let list = estate.page_with("/processes", "alert(1)").await;
    let path = format!("/processes/{}", crate::view::segment(EVIL));
    let detail = estate.page_with(&path, "alert(1)").await;
    for page in [overview, list, detail] {
        assert!(!page.contains("<script>alert") && !page.contains("<b x="), "{page}");
        for bad in ["href=\"javascript", "href=\"//", "href=\"http://evil", "evil.example/x?:4001/"]
        {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
    }
    let json = estate.json("/api/services").await;
    assert_eq!(json["services"][0]["instances"][0]["docs"], json!(null));
}

#[tokio::test]
async fn pages_say_so_when_the_monitor_is_away_and_keep_what_was_known() {
    let mut estate = Estate::usual().await;
    estate.monitor.set(&[fakes::complete("a")]);
    estate.page_with("/processes", "/customers/a").await;
    estate.monitor.go().await;
    let page = estate.page_with("/processes", "The monitor is away").await;
    assert!(
        page.contains("/customers/a") && page.contains("What follows is what it said at <time"),
        "{page}"
    );
    estate.page_with("/", "The monitor is away").await;
    let detail = estate.get("/processes/a").await;
    assert!(detail.status() == "200" && detail.body.contains("The monitor is away"));
    estate.monitor.come().await;
    estate.page_without("/processes", "The monitor is away").await;
}

#[tokio::test]
async fn pages_say_so_when_the_registry_is_away_and_wait_for_those_who_register_again() {
    let mut estate = Estate::usual().await;
    estate.registry.go().await;
    let page = estate.page_with("/", "The registry is away").await;
    assert!(page.contains("customers-1"), "{page}");
    estate.registry.forget();
    estate.registry.come().await;
    let page = estate.page_with("/", "The registry is back").await;
    assert!(page.contains("customers-1") && page.contains("awaited"), "{page}");
    estate.registry.set(&[
        entry("customers", "customers-1", 4001, "passing"),
        entry("customers", "customers-2", 4002, "passing"),
        super::daemon("gateway", 8080),
    ]);
    let page = estate.page_without("/", "The registry is back").await;
    assert!(page.contains("0 unhealthy.") && !page.contains("awaited"), "{page}");
}
