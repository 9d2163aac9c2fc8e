//! What a customer is, and what can happen to one. Pure: no HTTP, no store, no clock.

use std::{fmt, str::FromStr};

/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// The longest e-mail address, in characters (RFC 5321, 4.5.3.1).
const MAX_EMAIL: usize = 254;

/// Where a customer stands with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    Suspended,
    /// For good.
    Closed,
}

/// What can be asked to happen to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Change,
    Suspend,
    Reinstate,
    Close,
}

/// A command that the customer's state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Illegal {
    pub state: State,
    pub command: Command,
}

impl State {
    /// What may happen to a customer now.
    pub fn legal(self) -> &'static [Command] {
        match self {
            Self::Active => &[Command::Change, Command::Suspend, Command::Close],
            Self::Suspended => &[Command::Change, Command::Reinstate, Command::Close],
            Self::Closed => &[],
        }
    }

    /// The state after a command.
    pub fn after(self, command: Command) -> Result<Self, Illegal> {
        if !self.legal().contains(&command) {
            return Err(Illegal { state: self, command });
        }
        Ok(match command {
            Command::Change => self,
            Command::Suspend => Self::Suspended,
            Command::Reinstate => Self::Active,
            Command::Close => Self::Closed,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Active, Self::Suspended, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("'{text}' is no state of a customer"))
    }
}

impl Command {
    /// The last part of the path that carries it out.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a customer who is {} cannot {}", self.state.as_str(), self.command.as_str())
    }
}

/// A customer's details, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    pub firstname: String,
    pub lastname: String,
    pub email: String,
}

/// A field that is not right, and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub field: &'static str,
    pub message: String,
}

impl Details {
    /// Checks all three at once; surrounding blanks do not count.
    pub fn try_new(firstname: &str, lastname: &str, email: &str) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        wrong.extend(wrong_name("firstname", firstname));
        wrong.extend(wrong_name("lastname", lastname));
        wrong.extend(wrong_email(email));
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let own = |text: &str| text.trim().to_owned();
        Ok(Self { firstname: own(firstname), lastname: own(lastname), email: own(email) })
    }

    /// Two addresses with the same key reach the same mailbox, as far as we can know.
    pub fn email_key(&self) -> String {
        self.email.to_lowercase()
    }
}

fn wrong_name(field: &'static str, name: &str) -> Option<Wrong> {
    let length = name.trim().chars().count();
    let wrong = !(1..=MAX_NAME).contains(&length) || name.chars().any(char::is_control);
    wrong.then(|| Wrong {
        field,
        message: format!("give 1 to {MAX_NAME} characters, none of them a control character"),
    })
}

/// Only what is surely wrong is refused; whether an address works, only a mail can tell.
fn wrong_email(email: &str) -> Option<Wrong> {
    let email = email.trim();
    let right = email.chars().count() <= MAX_EMAIL
        && !email.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c))
        && email.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !local.contains('@') && !domain.is_empty()
        });
    (!right).then(|| Wrong {
        field: "email",
        message: format!("give an address such as ada@example.com, at most {MAX_EMAIL} characters"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_allows_exactly_its_commands() {
        use Command::{Change, Close, Reinstate, Suspend};
        use State::{Active, Closed, Suspended};
        let table = [
            (Active, Change, Some(Active)),
            (Active, Suspend, Some(Suspended)),
            (Active, Reinstate, None),
            (Active, Close, Some(Closed)),
            (Suspended, Change, Some(Suspended)),
            (Suspended, Suspend, None),
            (Suspended, Reinstate, Some(Active)),
            (Suspended, Close, Some(Closed)),
            (Closed, Change, None),
            (Closed, Suspend, None),
            (Closed, Reinstate, None),
            (Closed, Close, None),
        ];
        for (state, command, after) in table {
            assert_eq!(state.after(command).ok(), after, "{state:?} {command:?}");
        }
    }

    #[test]
    fn all_wrong_details_are_told_at_once() {
        let wrong = Details::try_new(" ", &"x".repeat(101), "nobody").expect_err("three mistakes");
        let fields: Vec<_> = wrong.iter().map(|wrong| wrong.field).collect();
        assert_eq!(fields, ["firstname", "lastname", "email"]);
    }

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        for email in ["", "@", "a@", "@b", "a b@c", "a@b@c", "a@b\n", "<a@b>", "a@b,c@d"] {
            let details = Details::try_new("Ada", "Lovelace", email);
            // A line break at the end is a blank around it, and is cut off.
            assert_eq!(details.is_ok(), email == "a@b\n", "{email:?}");
        }
    }

    #[test]
    fn an_address_is_one_in_any_case() {
        let details = Details::try_new("Ada", "Lovelace", " Ada@Example.COM ").expect("valid");
        assert_eq!(details.email, "Ada@Example.COM");
        assert_eq!(details.email_key(), "ada@example.com");
    }

    #[test]
    fn a_state_survives_its_name() {
        for state in [State::Active, State::Suspended, State::Closed] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
