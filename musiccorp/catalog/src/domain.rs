//! What an artist, an album and a track are. Pure: no HTTP, no store, no clock.

/// The longest name or title, in characters.
const MAX_TITLE: usize = 300;
const MAX_DESCRIPTION: usize = 5_000;
const MAX_TRACKS: usize = 500;
/// A day, in milliseconds.
const MAX_LENGTH_MS: i64 = 86_400_000;

/// An amount of money in minor units: 1599 USD is 15 dollars and 99 cents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// An album as somebody describes it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlbum {
    pub title: String,
    pub year: Option<i64>,
    pub description: Option<String>,
    pub price: Option<Money>,
    pub tracks: Vec<NewTrack>,
}

/// A track of a new album, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrack {
    pub title: String,
    pub length_ms: Option<i64>,
    pub price: Option<Money>,
}

/// A field that is not right, and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub field: String,
    pub message: String,
}

impl Wrong {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl NewAlbum {
    /// Everything that is wrong with an album; nothing when it is right.
    pub fn mistakes(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        wrong.extend(title("title", &self.title));
        if self.year.is_some_and(|year| !(1860..=2200).contains(&year)) {
            wrong.push(Wrong::new("year", "give a year from 1860 (the first recording) to 2200"));
        }
        let described = self.description.as_deref().unwrap_or_default();
        if described.chars().count() > MAX_DESCRIPTION {
            wrong.push(Wrong::new("description", format!("at most {MAX_DESCRIPTION} characters")));
        }
        wrong.extend(price("price", self.price.as_ref()));
        if self.tracks.len() > MAX_TRACKS {
            wrong.push(Wrong::new("tracks", format!("at most {MAX_TRACKS} tracks")));
        }
        for (index, track) in self.tracks.iter().enumerate() {
            let field = |name: &str| format!("tracks[{index}].{name}");
            wrong.extend(title(&field("title"), &track.title));
            wrong.extend(price(&field("price"), track.price.as_ref()));
            if track.length_ms.is_some_and(|length| !(1..=MAX_LENGTH_MS).contains(&length)) {
                wrong.push(Wrong::new(
                    field("length_ms"),
                    format!("give milliseconds, 1 to {MAX_LENGTH_MS}"),
                ));
            }
        }
        wrong
    }
}

/// What is wrong with a name or title.
pub fn title(field: &str, text: &str) -> Option<Wrong> {
    let right = (1..=MAX_TITLE).contains(&text.trim().chars().count())
        && !text.chars().any(char::is_control);
    (!right).then(|| {
        Wrong::new(
            field,
            format!("give 1 to {MAX_TITLE} characters, none of them a control character"),
        )
    })
}

fn price(field: &str, price: Option<&Money>) -> Option<Wrong> {
    let price = price?;
    let right = price.amount_minor >= 0
        && price.currency.len() == 3
        && price.currency.bytes().all(|b| b.is_ascii_uppercase());
    (!right).then(|| {
        Wrong::new(
            field,
            "give amount_minor from 0 up and a currency of three letters, such as USD",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn album() -> NewAlbum {
        let price = Some(Money { amount_minor: 99, currency: "USD".into() });
        NewAlbum {
            title: "Give Blood".into(),
            year: Some(2005),
            description: None,
            price: price.clone(),
            tracks: vec![NewTrack {
                title: "Comma Comma Comma Full Stop".into(),
                length_ms: Some(6_000),
                price,
            }],
        }
    }

    #[test]
    fn a_right_album_has_no_mistakes() {
        assert_eq!(album().mistakes(), []);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let mut wrong = album();
        wrong.title = " ".into();
        wrong.year = Some(1859);
        wrong.description = Some("x".repeat(MAX_DESCRIPTION + 1));
        wrong.price = Some(Money { amount_minor: -1, currency: "USD".into() });
        wrong.tracks[0].title = "a\nb".into();
        wrong.tracks[0].length_ms = Some(0);
        wrong.tracks[0].price = Some(Money { amount_minor: 1, currency: "usd".into() });
        let fields: Vec<_> = wrong.mistakes().into_iter().map(|wrong| wrong.field).collect();
        let expected = [
            "title",
            "year",
            "description",
            "price",
            "tracks[0].title",
            "tracks[0].price",
            "tracks[0].length_ms",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn an_album_has_no_endless_list_of_tracks() {
        let mut wrong = album();
        wrong.tracks = vec![wrong.tracks[0].clone(); MAX_TRACKS + 1];
        assert_eq!(wrong.mistakes()[0].field, "tracks");
    }
}
