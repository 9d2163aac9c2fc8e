//! The page of an album: `cargo run -p backline-hypermedia --example page > album.html`.

use std::io::Write;

use backline_hypermedia::{Action, Field, Format, Page, Resource, render};
use serde_json::json;

fn main() -> std::io::Result<()> {
    let tracks = [("Comma Comma Comma Full Stop", 6_000), ("Ring a Ding Ding", 159_506)];
    let tracks = tracks.iter().enumerate().map(|(at, (title, length_ms))| {
        Resource::new(format!("/catalog/tracks/{at}"))
            .title(*title)
            .field("title", title)
            .field("length_ms", length_ms)
            .field("price", json!({ "amount_minor": 99, "currency": "USD" }))
            .link("preview", format!("https://audio.example/{at}"))
    });
    let album = Resource::new("/catalog/albums/01939d5b-8f4c-7c1e-b0a1-0f6c5de9a7d2")
        .title("Give Blood")
        .field("title", "Give Blood")
        .field("artist", "/catalog/artists/brakes")
        .field("year", 2005)
        .field("description", "A debut of sixteen songs.\nThe shortest of them lasts six seconds.")
        .field("price", json!({ "amount_minor": 1_099, "currency": "USD" }))
        .field("added", "2026-11-02T08:30:00Z")
        .field(
            "label",
            json!({ "name": "Rough Trade", "catalogue_numbers": ["RTRADCD209", "RTRADLP209"] }),
        )
        .link_titled("artist", "/catalog/artists/brakes", "Brakes")
        .link_titled(
            "instantpurchase",
            "/catalog/albums/01939d5b/instantpurchase",
            "Buy it at once",
        )
        .link("collection", "/catalog/albums")
        .templated("search", "/catalog/search{?q}")
        .embed_all("tracks", tracks)
        .action(
            Action::post("rate", "/catalog/albums/01939d5b/ratings")
                .title("Rate the album")
                .field(Field::number("stars").title("Stars").required().example("1 to 5"))
                .field(Field::choice("mood", ["calm", "loud"]).title("Mood"))
                .field(Field::multiline("comment").title("Comment"))
                .field(Field::flag("public").title("Show my name").value("true")),
        )
        .action(Action::post("feature", "/catalog/albums/01939d5b/feature").title("Feature it"))
        .action(Action::delete("withdraw", "/catalog/albums/01939d5b").title("Withdraw the album"));
    let page = Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::now() };
    std::io::stdout().write_all(&render(&album, Format::Html, &page).body)
}
