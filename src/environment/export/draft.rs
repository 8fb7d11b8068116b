//! A file that is there whole or not at all: written beside its place under a hidden name, readable by
//! its owner alone, and put there at the end. Must not know what is in it.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How its hidden name begins and ends. Only a process that is killed leaves one behind.
const HIDDEN: (&str, &str) = (".lazycelery-", ".part");

/// A file on its way. Dropping it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile<File>,
    path: PathBuf,
    overwrite: bool,
    bytes: u64,
}

impl Draft {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Exists`] where one is there that is not to be overwritten, [`Error::File`].
    pub fn begin(path: &str, overwrite: bool) -> Result<Draft> {
        let failed = |reason: &dyn ToString| failed(Path::new(path), reason);
        let mut target = std::path::absolute(path).map_err(|reason| failed(&reason))?;
        if path.ends_with('/') || target.file_name().is_none() {
            return Err(failed(&"it names no file"));
        }
        if target.symlink_metadata().is_ok() {
            // What a link leads to is replaced, not the link.
            target = fs::canonicalize(&target).map_err(|reason| failed(&reason))?;
            if !target.is_file() {
                return Err(failed(&"what is there is no regular file"));
            }
            if !overwrite {
                return Err(exists(&target));
            }
        }
        let folder = target.parent().unwrap_or(Path::new("/"));
        let mut hidden = tempfile::Builder::new();
        hidden.prefix(HIDDEN.0).suffix(HIDDEN.1);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = hidden.make_in(folder, |path| options.open(path));
        let file = file.map_err(|reason| failed(&reason))?;
        Ok(Draft { file, path: target, overwrite, bytes: 0 })
    }

    /// Appends to it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.as_file_mut().write_all(bytes).map_err(|reason| failed(&self.path, &reason))
    }

    /// Puts it in its place; answers that, and its size.
    ///
    /// # Errors
    /// [`Error::Exists`] where one came meanwhile, [`Error::File`].
    pub fn finish(self) -> Result<(PathBuf, u64)> {
        let Draft { file, path, overwrite, bytes } = self;
        file.as_file().sync_all().map_err(|reason| failed(&path, &reason))?;
        let put = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
        match put {
            Ok(_) => Ok((path, bytes)),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(exists(&path)),
            Err(error) => Err(failed(&path, &error.error)),
        }
    }
}

fn exists(path: &Path) -> Error {
    Error::Exists { path: path.display().to_string() }
}

fn failed(path: &Path, reason: &dyn ToString) -> Error {
    Error::File { path: path.display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn begin(path: &Path, overwrite: bool) -> Result<Draft> {
        Draft::begin(path.to_str().unwrap(), overwrite)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_half_written_is_ever_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.csv");
        let mut draft = begin(&path, false).unwrap();
        draft.write(b"a,b\n").unwrap();
        assert!(!path.exists());
        drop(draft);
        assert_eq!(names(folder.path()), Vec::<String>::new());
        let mut draft = begin(&path, false).unwrap();
        draft.write(b"a,b\n").unwrap();
        assert_eq!(draft.finish().unwrap().1, 4);
        assert_eq!(names(folder.path()), ["tasks.csv"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.csv");
        let late = begin(&path, false).unwrap();
        fs::write(&path, "mine").unwrap();
        let exists = Error::Exists { path: path.canonicalize().unwrap().display().to_string() };
        assert_eq!(begin(&path, false).unwrap_err(), exists);
        assert_eq!(late.finish().unwrap_err().kind(), Some("exists"), "it came meanwhile");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let link = folder.path().join("link");
        symlink("tasks.csv", &link).unwrap();
        let mut draft = begin(&link, true).unwrap();
        draft.write(b"new").unwrap();
        draft.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new", "what the link leads to");
        assert!(link.is_symlink());
        assert_eq!(names(folder.path()), ["link", "tasks.csv"]);
    }

    #[test]
    fn a_path_that_is_none_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        for (path, reason) in [
            ("", "cannot make an empty path absolute"),
            ("/", "it names no file"),
            (&format!("{place}/new/"), "it names no file"),
            (place, "what is there is no regular file"),
            ("/dev/null", "what is there is no regular file"),
            (&format!("{place}/none/tasks.csv"), "No such file or directory (os error 2)"),
        ] {
            let error = Draft::begin(path, true).unwrap_err();
            let wanted = Error::File { path: path.into(), reason: reason.into() };
            assert_eq!(error, wanted, "{path}");
        }
    }
}
