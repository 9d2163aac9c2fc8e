//! The catalogue as its callers see it: a real process over HTTP.

use backline_testkit::{Service, http};
use serde_json::{Value, json};

fn post(service: &Service, path: &str, body: &Value) -> http::Answer {
    http::post_json(&service.url(path), body, &[])
}

fn artist(service: &Service, name: &str) -> String {
    let answer = post(service, "/catalog/artists", &json!({ "name": name })).expect(201);
    answer.header("location").expect("a Location").to_owned()
}

fn give_blood(artist: &str) -> Value {
    json!({
        "title": "Give Blood",
        "artist": artist,
        "year": 2005,
        "description": "Awesome, short, brutish, funny and loud. Must buy!",
        "price": { "amount_minor": 1199, "currency": "USD" },
        "tracks": [
            { "title": "Comma Comma Comma Full Stop", "length_ms": 7000 },
            { "title": "Ring a Ding Ding", "price": { "amount_minor": 99, "currency": "USD" } },
        ],
    })
}

#[test]
fn an_album_links_to_its_artist_and_to_buying_it() {
    let service = Service::start("catalog").start();
    let brakes = artist(&service, "Brakes");
    let album = post(&service, "/catalog/albums", &give_blood(&brakes)).expect(201);
    let href = album.header("location").expect("a Location").to_owned();
    let album = http::get(&service.url(&href)).expect(200).json();
    assert_eq!(album["title"], "Give Blood");
    assert_eq!(album["_links"]["artist"]["href"], brakes.as_str());
    assert_eq!(album["_links"]["artist"]["title"], "Brakes");
    let tracks = album["_embedded"]["tracks"].as_array().expect("tracks");
    assert_eq!(tracks[0]["number"], 1);
    assert_eq!(tracks[1]["title"], "Ring a Ding Ding");

    let follow = |link: &Value| {
        let href = link["href"].as_str().expect("a link");
        http::get(&service.url(href)).expect(200).json()
    };
    let offer = follow(&album["_links"]["instantpurchase"]);
    assert_eq!(offer["price"], json!({ "amount_minor": 1199, "currency": "USD" }));
    assert!(offer["order_by_phone"].is_string());
    assert_eq!(follow(&tracks[1]["_links"]["self"])["_links"]["album"]["href"], href.as_str());
    let made = follow(&album["_links"]["artist"]);
    assert_eq!(made["_embedded"]["albums"][0]["_links"]["self"]["href"], href.as_str());

    let added = service.events();
    assert_eq!(added[0]["type"], "artist.added");
    assert_eq!(added[1]["type"], "album.added");
    assert_eq!(added[1]["data"]["tracks"].as_array().map(Vec::len), Some(2));
    assert_eq!(added[1]["data"]["artist"], brakes.as_str());
}

#[test]
fn an_album_without_a_price_cannot_be_bought() {
    let service = Service::start("catalog").start();
    let mut album = give_blood(&artist(&service, "Brakes"));
    album.as_object_mut().expect("an object").remove("price");
    let album = post(&service, "/catalog/albums", &album).expect(201);
    assert!(album.json()["_links"].get("instantpurchase").is_none());
    let offer = format!("{}/instantpurchase", album.header("location").expect("a Location"));
    let refused = http::get(&service.url(&offer)).expect(409).json();
    assert_eq!(refused["type"], "urn:backline:error:not-for-sale");
}

#[test]
fn search_finds_artists_albums_and_tracks() {
    let service = Service::start("catalog").start();
    let brakes = artist(&service, "Brakes");
    artist(&service, "100% Ring");
    post(&service, "/catalog/albums", &give_blood(&brakes)).expect(201);
    let search =
        |q: &str| http::get(&service.url(&format!("/catalog/search?q={q}"))).expect(200).json();
    let ring = search("rInG");
    assert_eq!(ring["artists_total"], 1);
    assert_eq!(ring["albums_total"], 0);
    assert_eq!(ring["_embedded"]["tracks"][0]["title"], "Ring a Ding Ding");
    assert_eq!(search("blood")["_embedded"]["albums"][0]["title"], "Give Blood");
    assert_eq!(search("100%25")["artists_total"], 1);
    assert_eq!(search("%25")["artists_total"], 1);
    assert_eq!(search("_")["artists_total"], 0);
    http::get(&service.url("/catalog/search?q=+")).expect(400);
    let root = http::get(&service.url("/catalog")).expect(200).json();
    assert_eq!(root["_links"]["search"]["templated"], true);
}

#[test]
fn what_is_wrong_with_an_album_is_told_at_once_and_nothing_is_kept() {
    let service = Service::start("catalog").start();
    let brakes = artist(&service, "Brakes");
    let mut album = give_blood(&brakes);
    album["year"] = json!(12);
    album["tracks"][1]["price"]["currency"] = json!("dollars");
    let errors = post(&service, "/catalog/albums", &album).expect(422).json();
    assert_eq!(errors["errors"][0]["field"], "year");
    assert_eq!(errors["errors"][1]["field"], "tracks[1].price");
    let nobody = give_blood("/catalog/artists/nobody");
    let errors = post(&service, "/catalog/albums", &nobody).expect(422).json();
    assert_eq!(errors["errors"][0]["field"], "artist");
    assert_eq!(http::get(&service.url("/catalog/albums")).expect(200).json()["total"], 0);
    assert_eq!(service.events().len(), 1);
}
