use std::fmt;

use tokio::sync::watch;

use crate::{Error, Migration, Tx, sqlite};

/// A store that is open. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct Store(sqlite::Store);

impl Store {
    /// Opens the store at `url` (`sqlite:PATH`; folders and file are made where they are missing),
    /// and brings its tables up to date. Must be called on a tokio runtime, which then listens for
    /// the commits of siblings.
    ///
    /// # Errors
    /// What is wrong with the address, the file, or the migrations.
    pub async fn open(url: &str, migrations: &[Migration]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Url { url: url.to_owned(), why: why.to_owned() };
        match url.split_once(':') {
            Some(("sqlite", "")) => Err(wrong("it names no file")),
            Some(("sqlite", path)) if path.starts_with(":memory:") => {
                Err(wrong("a store is a file, so that what is acknowledged is durable"))
            }
            Some(("sqlite", path)) if path.starts_with("//") => {
                Err(wrong("the path follows right after 'sqlite:', without '//'"))
            }
            Some(("sqlite", path)) if path.contains('\0') => {
                Err(wrong("a path holds no NUL character"))
            }
            Some(("sqlite", path)) => sqlite::Store::open(path, migrations).await.map(Self),
            Some(("postgres" | "postgresql", _)) => {
                Err(wrong("Postgres is not supported yet, only SQLite is"))
            }
            Some((scheme, _)) => Err(wrong(&format!("the scheme '{scheme}' is not known"))),
            None => Err(wrong("it has no scheme")),
        }
    }

    /// Runs `f` as one durable, serializable transaction and returns what it returns.
    ///
    /// `f` may run more than once, has its effect once, and awaits nothing but its [`Tx`]. The
    /// answer comes when the change is on disk. If this future is dropped before its turn has
    /// come, nothing is done; after that the transaction is finished all the same.
    ///
    /// # Errors
    /// What `f` returns, or the store's: then nothing was changed (but see [`Error::Failed`]).
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: AsyncFn(Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.write(f).await
    }

    /// Runs `f` on a snapshot that it cannot change, and returns what it returns.
    ///
    /// What was written before this call is in the snapshot. `f` awaits nothing but its [`Tx`]
    /// and has 5 s.
    ///
    /// # Errors
    /// What `f` returns, or the store's.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: AsyncFn(Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.read(f).await
    }

    /// A count that changes after commits, of this process or of a sibling on the same file.
    ///
    /// It is a hint to look, not a number of transactions: one change may stand for many.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.0.commits()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.path()).finish()
    }
}
