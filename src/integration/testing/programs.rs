//! Finds PostgreSQL's server programs.
//!
//! Most distributions install them outside `PATH`, several versions side by side. What the user has chosen counts first
//! (`PG_BIN_DIR`, then `PATH`, then `pg_config`); among the places where systems usually have them the newest version wins.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{TestingError, package};

/// Directories, the start of the names of their entries, and where the programs are inside each entry.
const USUAL_PLACES: [(&str, &str, &str); 12] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/lib64", "postgresql", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/opt/local/lib", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/Library/PostgreSQL", "", "bin"),
];

/// The server programs of one version, which are in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Finds them, newest version first.
    ///
    /// # Errors
    ///
    /// [`TestingError::ProgramsNotFound`]. A `PG_BIN_DIR` without the programs is this error too, and no other place is
    /// looked at: tests that silently ran on another version than the one asked for would mislead.
    pub(super) fn find() -> Result<Self, TestingError> {
        if let Some(chosen) = env::var_os("PG_BIN_DIR").filter(|chosen| !chosen.is_empty()) {
            let chosen = PathBuf::from(chosen);
            let place = format!("{} (PG_BIN_DIR)", chosen.display());
            return Self::in_directory(&chosen).ok_or_else(|| not_found(vec![place]));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .find_map(|directory| Self::in_directory(&directory))
            .or_else(|| Self::in_directory(&directory_of_pg_config()?))
            .or_else(|| usual_directories(&USUAL_PLACES).iter().find_map(|directory| Self::in_directory(directory)))
            .ok_or_else(|| {
                let places = USUAL_PLACES.iter().filter(|place| Path::new(place.0).is_dir()).map(place_name);
                not_found(
                    ["PATH".to_owned(), "the directory of pg_config".to_owned()].into_iter().chain(places).collect(),
                )
            })
    }

    /// The programs in this directory, if both are there. Links are followed: the directory that they lead to has the
    /// programs' other files next to it.
    fn in_directory(directory: &Path) -> Option<Self> {
        let has_both = |directory: &Path| directory.join("initdb").is_file() && directory.join("postgres").is_file();
        if !has_both(directory) {
            return None;
        }
        let target = fs::canonicalize(directory.join("initdb")).ok();
        let target = target.as_deref().and_then(Path::parent).filter(|target| has_both(target));
        Some(Self { directory: target.unwrap_or(directory).to_path_buf() })
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }
}

fn not_found(searched: Vec<String>) -> TestingError {
    TestingError::ProgramsNotFound { searched, install: package::install_command() }
}

fn place_name((base, start, inside): &(&str, &str, &str)) -> String {
    Path::new(base).join(format!("{start}*")).join(inside).display().to_string()
}

fn directory_of_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let directory = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(PathBuf::from(directory.trim()))
}

/// All directories at the usual places, newest version first.
fn usual_directories(places: &[(&str, &str, &str)]) -> Vec<PathBuf> {
    let mut versions = Vec::new();
    for (base, start, inside) in places {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some(version) = name.to_str().and_then(|name| name.strip_prefix(start)) {
                versions.push((version_numbers(version), entry.path().join(inside)));
            }
        }
    }
    versions.sort_by_key(|(version, _)| Reverse(version.clone()));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

/// `@17` → 17; `-9.6` → 9, 6; no number sorts as the oldest.
fn version_numbers(version: &str) -> Vec<u32> {
    version.split(|character: char| !character.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn scratch_directory(name: &str) -> PathBuf {
        let directory = env::temp_dir().join(format!("howdah-programs-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    fn pretend_install(directory: &Path, programs: &[&str]) {
        fs::create_dir_all(directory).unwrap();
        for program in programs {
            fs::write(directory.join(program), "").unwrap();
        }
    }

    #[test]
    fn the_newest_version_comes_first_by_number() {
        let base = scratch_directory("newest");
        for version in ["9.6", "16", "15", "latest"] {
            pretend_install(&base.join(version).join("bin"), &["initdb", "postgres"]);
        }
        let places = [(base.to_str().unwrap(), "", "bin")];
        let versions = ["16", "15", "9.6", "latest"].map(|version| base.join(version).join("bin"));
        assert_eq!(usual_directories(&places), versions);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn both_programs_are_needed_and_links_are_followed() {
        let base = fs::canonicalize(scratch_directory("links")).unwrap();
        let (real, links, client) = (base.join("real"), base.join("links"), base.join("client"));
        pretend_install(&real, &["initdb", "postgres"]);
        pretend_install(&client, &["initdb"]);
        fs::create_dir_all(&links).unwrap();
        for program in ["initdb", "postgres"] {
            symlink(real.join(program), links.join(program)).unwrap();
        }
        assert_eq!(Programs::in_directory(&links), Some(Programs { directory: real }));
        assert_eq!(Programs::in_directory(&client), None);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn the_error_names_the_places_and_the_package() {
        let message = not_found(vec!["PATH".to_owned()]).to_string();
        assert!(message.contains("not found in PATH"), "{message}");
        assert!(message.contains(package::install_command()), "{message}");
    }
}
