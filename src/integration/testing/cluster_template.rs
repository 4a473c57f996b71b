//! The data directory of a new server: made by `initdb` once per user and server version, copied from then on.
//!
//! `initdb` takes most of a second, a copy some hundredths. The copy in the user's cache directory is never trusted
//! blindly: it must belong to this user alone, be whole, and a server must start from it; otherwise it is made anew.
//! It appears under its name by one rename, so processes that start at the same time cannot see each other's half-made ones.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::TestingError;
use super::account::{self, Account};
use super::copy::{Copied, copy_directory};
use super::directory::{self, LockedDirectory};
use super::programs::Programs;

/// Counts the changes of what `initialize` does and of how a template is laid out.
const FORMAT_VERSION: u32 = 1;

/// How the names of unfinished templates start.
const UNFINISHED: &str = "unfinished-";

/// Character types are Unicode's wherever the system has such a locale, so that `ILIKE` and `lower()` work as in
/// production. Sorting stays byte-wise, so that tests see one order on every machine.
const CHARACTER_TYPES: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "C"];

/// Where the data directories of one server version come from.
#[derive(Debug)]
pub(super) struct ClusterTemplate<'a> {
    programs: &'a Programs,
    account: Account,
    /// The template's directory; none if this user has no cache directory of their own.
    cached: Option<PathBuf>,
}

impl<'a> ClusterTemplate<'a> {
    /// The template of this server version for this user.
    pub(super) fn new(programs: &'a Programs, account: Account) -> Result<Self, TestingError> {
        Self::in_cache(cache_directory(), programs, account)
    }

    fn in_cache(cache: Option<PathBuf>, programs: &'a Programs, account: Account) -> Result<Self, TestingError> {
        let cached = match cache.filter(|cache| is_safe(cache, account)) {
            Some(cache) => {
                let version = server_version(programs, account)?;
                Some(cache.join(format!("postgresql-{version}-user{}-v{FORMAT_VERSION}", account.server_user())))
            }
            None => None,
        };
        Ok(Self { programs, account, cached })
    }

    /// Makes a data directory by a copy, if there is a whole template; says whether it did.
    pub(super) fn copy_to(&self, data: &Path) -> bool {
        let Some(cached) = &self.cached else { return false };
        let is_copied = self.try_copy(cached, data).is_ok();
        if !is_copied {
            self.discard();
            let _ = fs::remove_dir_all(data);
        }
        is_copied
    }

    fn try_copy(&self, cached: &Path, data: &Path) -> io::Result<()> {
        let template = cached.join("data");
        let expected = fs::read_to_string(cached.join("complete"))?;
        let found = fs::symlink_metadata(&template)?;
        if !found.is_dir() || found.uid() != self.account.server_user() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the template is another user's"));
        }
        let copied = copy_directory(&template, data, &|path| self.account.give(path))?;
        if marker(copied) != expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the template is not whole"));
        }
        Ok(())
    }

    /// Makes a data directory with `initdb`, and keeps a copy of it for the next time if that is possible.
    pub(super) fn initialize(&self, data: &Path) -> Result<(), TestingError> {
        let mut outcome = Ok(());
        for character_type in CHARACTER_TYPES {
            outcome = self.run_initdb(data, character_type);
            if outcome.is_ok() {
                break;
            }
        }
        outcome?;
        if let Some(cached) = &self.cached {
            // A full disk or a read-only home costs time at the next start, nothing else.
            let _ = self.keep(cached, data);
        }
        Ok(())
    }

    fn run_initdb(&self, data: &Path, character_type: &str) -> Result<(), TestingError> {
        let mut initdb = self.account.command(self.programs.initdb());
        initdb.args(["--no-sync", "--no-instructions", "--auth=trust", "--username=postgres", "--encoding=UTF8"]);
        initdb.args(["--locale=C", &format!("--lc-ctype={character_type}"), "--wal-segsize=1", "--pgdata"]).arg(data);
        account::run(&mut initdb).map(drop)
    }

    fn keep(&self, cached: &Path, data: &Path) -> io::Result<()> {
        let cache = cached.parent().unwrap_or(cached);
        directory::remove_abandoned(cache, UNFINISHED);
        let unfinished = LockedDirectory::create(cache, UNFINISHED, self.account)?;
        let copy = || {
            let copied = copy_directory(data, &unfinished.path.join("data"), &|path| self.account.give(path))?;
            fs::write(unfinished.path.join("complete"), marker(copied))?;
            // This fails if another process was faster; what it made is as good.
            fs::rename(&unfinished.path, cached)
        };
        copy().or_else(|_| fs::remove_dir_all(&unfinished.path))
    }

    /// Removes the template: no server starts from it. The next `initialize` makes it anew.
    pub(super) fn discard(&self) {
        if let Some(cached) = &self.cached {
            let _ = fs::remove_dir_all(cached);
        }
    }
}

/// What a whole template's file `complete` says.
fn marker(copied: Copied) -> String {
    format!("{} files, {} bytes\n", copied.files, copied.bytes)
}

/// `postgres (PostgreSQL) 17.2 (Debian …)` → `17.2`
fn server_version(programs: &Programs, account: Account) -> Result<String, TestingError> {
    let printed = account::run(account.command(programs.postgres()).arg("--version"))?;
    let version = printed.split_whitespace().nth(2).unwrap_or("unknown");
    Ok(version.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '.').collect())
}

/// This user's directory for what can be made again.
fn cache_directory() -> Option<PathBuf> {
    let directory = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let in_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    let base = directory("XDG_CACHE_HOME").or_else(|| Some(directory("HOME")?.join(in_home)))?;
    Some(base.join("howdah"))
}

/// Whether nobody but this user can put anything into the cache directory. It is made if it is not there.
fn is_safe(cache: &Path, account: Account) -> bool {
    let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(cache);
    let writable_for_others = 0o022;
    fs::symlink_metadata(cache)
        .is_ok_and(|found| found.is_dir() && found.uid() == account.own_user && found.mode() & writable_for_others == 0)
}
