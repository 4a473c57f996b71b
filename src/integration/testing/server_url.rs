//! The URL of a database, for every database of one server.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio_postgres::Config;

use super::TestingError;

/// A URL with a gap where the name of the database is.
#[derive(Debug, Clone)]
pub(super) struct ServerUrl {
    before: String,
    after: String,
}

impl ServerUrl {
    /// The server with its socket in this directory.
    pub(super) fn of_socket(directory: &Path) -> Self {
        let mut before = "postgresql://postgres@".to_owned();
        for byte in directory.as_os_str().as_bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                before.push(char::from(*byte));
            } else {
                let _ = write!(before, "%{byte:02X}");
            }
        }
        before.push_str(":5432");
        Self { before, after: String::new() }
    }

    /// The server that this URL leads to, whatever its database.
    ///
    /// # Errors
    ///
    /// [`TestingError::DatabaseUrl`] if it is no URL, or one whose database cannot be replaced for certain.
    pub(super) fn of_database_url(url: &str) -> Result<Self, TestingError> {
        let refuse = |reason: &str| TestingError::DatabaseUrl { reason: reason.to_owned() };
        let scheme = ["postgresql://", "postgres://"].into_iter().find(|scheme| url.starts_with(scheme));
        let scheme = scheme.ok_or_else(|| refuse("it does not start with postgresql://"))?;
        let original = url.parse::<Config>().map_err(|error| refuse(&describe(&error)))?;

        let authority = scheme.len() + url[scheme.len()..].find('@').unwrap_or(0);
        let end = url[authority..].find(['/', '?']).map_or(url.len(), |length| authority + length);
        let after = url[end..].find('?').map_or("", |length| &url[end + length..]);
        let server = Self { before: url[..end].to_owned(), after: after.to_owned() };

        // A parameter may name the database once more, and win: tests must never reach a database that is not theirs.
        let derived = server.config("howdah_test")?;
        if derived.get_dbname() != Some("howdah_test") || derived.get_hosts() != original.get_hosts() {
            return Err(refuse("its parameters name another host or database"));
        }
        Ok(server)
    }

    pub(super) fn of(&self, database: &str) -> String {
        format!("{}/{database}{}", self.before, self.after)
    }

    /// What the driver makes of the URL of a database.
    pub(super) fn config(&self, database: &str) -> Result<Config, TestingError> {
        self.of(database).parse().map_err(|error| TestingError::DatabaseUrl { reason: describe(&error) })
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    #[test]
    fn a_socket_is_a_percent_encoded_host() {
        let server = ServerUrl::of_socket(Path::new("/dev/shm/howdah pg-1"));
        assert_eq!(server.of("shop"), "postgresql://postgres@%2Fdev%2Fshm%2Fhowdah%20pg-1:5432/shop");
        let config = server.config("shop").unwrap();
        assert_eq!(config.get_hosts(), [Host::Unix("/dev/shm/howdah pg-1".into())]);
        assert_eq!((config.get_user(), config.get_dbname()), (Some("postgres"), Some("shop")));
    }

    #[test]
    fn only_the_database_of_an_url_is_replaced() {
        for (url, expected) in [
            (
                "postgresql://app:secret@db:5433/shop?connect_timeout=3",
                "postgresql://app:secret@db:5433/t?connect_timeout=3",
            ),
            ("postgres://db", "postgres://db/t"),
            ("postgres://db?keepalives=0", "postgres://db/t?keepalives=0"),
            ("postgresql://app:a%2Fb/c@db/shop", "postgresql://app:a%2Fb/c@db/t"),
            ("postgresql:///shop?host=/run/postgresql", "postgresql:///t?host=/run/postgresql"),
        ] {
            assert_eq!(ServerUrl::of_database_url(url).unwrap().of("t"), expected);
        }
    }

    #[test]
    fn an_url_that_could_lead_elsewhere_is_refused_without_showing_the_password() {
        for url in
            ["host=db user=app", "postgresql://app:secret@db/shop?dbname=shop", "postgresql://app:secret@db:x/shop"]
        {
            let message = ServerUrl::of_database_url(url).unwrap_err().to_string();
            assert!(message.contains("DATABASE_URL") && !message.contains("secret"), "{message}");
        }
    }
}
