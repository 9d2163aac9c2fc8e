//! The letters. Pure: no HTTP, no store, no clock.

/// A letter's subject and text.
pub struct Letter {
    pub subject: String,
    pub body: String,
}

/// The letter to a new customer.
pub fn welcome(firstname: &str) -> Letter {
    Letter {
        subject: format!("Welcome to MusicCorp, {firstname}"),
        body: format!(
            "Dear {firstname},\n\n\
             good to have you here. Your loyalty account is being opened, and a welcome pack is on \
             its way by post.\n\n\
             Enjoy the music,\n\
             MusicCorp\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_is_addressed_by_first_name() {
        let letter = welcome("Ada");
        assert_eq!(letter.subject, "Welcome to MusicCorp, Ada");
        assert!(letter.body.starts_with("Dear Ada,\n\n"));
    }
}
