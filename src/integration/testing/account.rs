//! The operating system's user that the server runs as.
//!
//! PostgreSQL refuses to run as root, and containers and CI machines usually are root. There the server's processes
//! run as another user; this process keeps its rights, and hands the server a directory of its own.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::TestingError;

/// Who this process is, and who the server is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// The user of this process.
    pub(super) own_user: u32,
    /// User and group to change to, if this process is root.
    other: Option<(u32, u32)>,
}

impl Account {
    /// Chooses the user: this process's own, or `postgres` or `nobody` instead of root.
    pub(super) fn choose() -> Result<Self, TestingError> {
        let own_user = ask_id(&["-u"])?;
        if own_user != 0 {
            return Ok(Self { own_user, other: None });
        }
        let other = ["postgres", "nobody"].into_iter().find_map(|name| {
            let user = ask_id(&["-u", name]).ok().filter(|user| *user != 0)?;
            Some((user, ask_id(&["-g", name]).ok()?))
        });
        other.map(|other| Self { own_user, other: Some(other) }).ok_or(TestingError::NoServerUser)
    }

    /// The user that the server's files belong to.
    pub(super) fn server_user(self) -> u32 {
        self.other.map_or(self.own_user, |(user, _)| user)
    }

    /// A command that runs as the server's user, outside of this process's directory, which that user may not enter.
    pub(super) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command.current_dir("/").env_remove("PGDATA").stdin(Stdio::null());
        command
    }

    /// Gives a file or directory to the server's user.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        match self.other {
            Some((user, group)) => std::os::unix::fs::lchown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Makes a directory that only the server's user may enter; the server insists on that.
    pub(super) fn create_directory(self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        self.give(path)
    }
}

/// Runs a command to its end, and answers what it printed.
///
/// # Errors
///
/// [`TestingError::Program`] if it cannot be run or does not succeed.
pub(super) fn run(command: &mut Command) -> Result<String, TestingError> {
    let outcome = command.output();
    let failed = |output: String| TestingError::Program { program: format!("{command:?}"), output };
    match outcome {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(failed(printed(&output))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// All that a program has printed, or its exit status if it has not printed anything.
fn printed(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    if text.trim().is_empty() { output.status.to_string() } else { text.trim().to_owned() }
}

fn ask_id(arguments: &[&str]) -> Result<u32, TestingError> {
    let printed = run(Command::new("id").args(arguments).stdin(Stdio::null()))?;
    printed.trim().parse().map_err(|_| TestingError::Program { program: "id".to_owned(), output: printed })
}
