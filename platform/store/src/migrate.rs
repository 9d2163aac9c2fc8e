/// One step in the life of a store's tables. Applied once, in the order of the program's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Unique among all that the store ever sees.
    pub name: &'static str,
    /// Statements, each ended by `;`. Never changed once released: a change is a new migration.
    pub sql: &'static str,
}
