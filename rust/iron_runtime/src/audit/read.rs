//! Reading: the records of all chains together, in order of time.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::vec;

use super::fault::AuditFault;
use super::place;
use super::record::Envelope;

/// A line that is a record, by its looks: whether it is as it was written is for [`verify`](super::verify()) to say.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its bytes, without the line's end.
    pub text: Vec<u8>,
    /// What it begins with.
    pub envelope: Envelope,
}

/// The records of a log, or of one file.
#[derive(Debug)]
pub struct Records {
    chains: Vec<Chain>,
    path: PathBuf,
}

/// The records of one chain.
#[derive(Debug)]
struct Chain {
    files: vec::IntoIter<PathBuf>,
    file: Option<BufReader<File>>,
    next: Option<Line>,
}

impl Records {
    /// Of a directory, or of a file.
    ///
    /// # Errors
    /// [`AuditFault`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, AuditFault> {
        let unread = |error| AuditFault::unreadable(path, error);
        let files: Vec<Vec<PathBuf>> = if std::fs::metadata(path).map_err(unread)?.is_dir() {
            let chains = place::chains(path).map_err(unread)?;
            chains.into_iter().map(|(_, files)| files.into_iter().map(|file| file.path).collect()).collect()
        } else {
            vec![vec![path.to_owned()]]
        };
        let chain = |files: Vec<PathBuf>| {
            let mut chain = Chain { files: files.into_iter(), file: None, next: None };
            chain.advance().map(|_| chain)
        };
        let chains = files.into_iter().map(chain).collect::<io::Result<_>>().map_err(unread)?;
        Ok(Self { chains, path: path.to_owned() })
    }
}

impl Iterator for Records {
    type Item = Result<Line, AuditFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let time = |chain: &Chain| chain.next.as_ref().map(|line| line.envelope.at.clone());
        let earliest =
            self.chains.iter_mut().filter(|chain| chain.next.is_some()).min_by_key(|chain| time(chain))?;
        let line = earliest.advance();
        line.map_err(|error| AuditFault::unreadable(&self.path, error)).transpose()
    }
}

impl Chain {
    /// The next record, and behind it the one after.
    fn advance(&mut self) -> io::Result<Option<Line>> {
        let next = self.read()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(file) = &mut self.file else {
                let Some(path) = self.files.next() else { return Ok(None) };
                self.file = match File::open(path) {
                    Ok(file) => Some(BufReader::with_capacity(1 << 18, file)),
                    // Deleted since, as the configuration says.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                };
                continue;
            };
            let mut text = Vec::new();
            if file.read_until(b'\n', &mut text)? == 0 {
                self.file = None;
                continue;
            }
            if text.pop_if(|last| *last == b'\n').is_some()
                && let Ok(envelope) = serde_json::from_slice(&text)
            {
                return Ok(Some(Line { text, envelope }));
            }
        }
    }
}
