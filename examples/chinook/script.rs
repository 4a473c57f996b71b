//! Where the script of the Chinook database is, and what of it is run.
//!
//! The data is not part of this repository. Without it the example has nothing to show, which is no failure, unless
//! somebody has said where it is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that says where the script is.
pub const VARIABLE: &str = "CHINOOK_SQL";

/// Where it is looked for if nobody says, starting at the directory of the package.
pub const DEFAULT: &str = "../shared/data/chinook/Chinook_PostgreSql_AutoIncrementPKs.sql";

/// There is no script where it was looked for.
#[derive(Debug)]
pub enum Missing {
    /// Nobody has said where it is, and it is not at the usual place.
    Default(PathBuf),
    /// It is not where the argument or the variable says.
    Given(PathBuf),
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Default(path) | Self::Given(path)) = self;
        write!(
            formatter,
            "the script of the Chinook database is not at {}: get Chinook_PostgreSql_AutoIncrementPKs.sql from \
             https://github.com/lerocha/chinook-database, and pass its path as the argument or in {VARIABLE}",
            path.display()
        )
    }
}

impl std::error::Error for Missing {}

/// The path of the script: the argument, or the variable, or the usual place.
pub fn find(argument: Option<PathBuf>) -> Result<PathBuf, Missing> {
    let given = argument.or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    match given {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(Missing::Given(path)),
        None => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT);
            if path.is_file() { Ok(path) } else { Err(Missing::Default(path)) }
        }
    }
}

/// The statements that make and fill the tables. The script begins with those that make the database itself and connect
/// to it (`\c`, which is psql's own): they are left out, because the database is there already.
pub fn read(path: &Path) -> std::io::Result<String> {
    let text = fs::read_to_string(path)?;
    let about_the_database = ["DROP DATABASE", "CREATE DATABASE", "\\c "];
    let lines = text.trim_start_matches('\u{feff}').lines();
    Ok(lines
        .filter(|line| !about_the_database.iter().any(|start| line.starts_with(start)))
        .flat_map(|line| [line, "\n"])
        .collect())
}
