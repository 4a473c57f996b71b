//! Copies a directory with all it contains, and counts what it copied.
//!
//! The standard library's `copy` makes the kernel do the work, and shares blocks where the file system can.

use std::fs;
use std::io;
use std::path::Path;

/// How much was copied: what a complete copy of the same directory has too.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Copies a directory of plain files and directories to a path where nothing is yet. Every copy is passed to `finish`,
/// which gives it its owner.
pub(super) fn copy_directory(from: &Path, to: &Path, finish: &impl Fn(&Path) -> io::Result<()>) -> io::Result<Copied> {
    let mut copied = Copied::default();
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let inside = copy_directory(&source, &target, finish)?;
            copied.files += inside.files;
            copied.bytes += inside.bytes;
        } else if kind.is_file() {
            copied.files += 1;
            copied.bytes += fs::copy(&source, &target)?;
            finish(&target)?;
        } else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is no plain file", source.display())));
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    finish(to)?;
    Ok(copied)
}
