//! Reading: the records of all chains together, in order of time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::fault::AuditFault;
use super::place::{self, Segment};
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
    /// What it is called; empty for a file by itself.
    name: String,
    /// The number of the last file that is known.
    last: u64,
    files: VecDeque<PathBuf>,
    /// Kept at its end, where more may come.
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
        let mut records = Self { chains: Vec::new(), path: path.to_owned() };
        if std::fs::metadata(path).map_err(unread)?.is_dir() {
            records.resume()?;
        } else {
            let mut chain = Chain::new(String::new());
            chain.files.push_back(path.to_owned());
            chain.advance().map_err(unread)?;
            records.chains.push(chain);
        }
        Ok(records)
    }

    /// Look for what has been written since the last record was read; there may be another one then.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn resume(&mut self) -> Result<(), AuditFault> {
        self.look().map_err(|error| AuditFault::unreadable(&self.path, error))
    }

    fn look(&mut self) -> io::Result<()> {
        // Listed before it is read on: to a file that has a next one nothing is added.
        let listed = if self.path.is_dir() { place::chains(&self.path)? } else { Vec::new() };
        for (name, segments) in listed {
            let known = self.chains.iter().position(|chain| chain.name == name);
            let nth = known.unwrap_or(self.chains.len());
            if known.is_none() {
                self.chains.push(Chain::new(name));
            }
            if let Some(chain) = self.chains.get_mut(nth) {
                chain.add(segments);
            }
        }
        for chain in self.chains.iter_mut().filter(|chain| chain.next.is_none()) {
            chain.advance()?;
        }
        Ok(())
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
    fn new(name: String) -> Self {
        Self { name, last: 0, files: VecDeque::new(), file: None, next: None }
    }

    /// Read on in those of the files that are not known yet.
    fn add(&mut self, segments: Vec<Segment>) {
        for Segment { number, path } in segments {
            if number > self.last {
                self.last = number;
                self.files.push_back(path);
            }
        }
    }

    /// The next record, and behind it the one after.
    fn advance(&mut self) -> io::Result<Option<Line>> {
        let next = self.read()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(file) = &mut self.file else {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                self.file = match File::open(path) {
                    Ok(file) => Some(BufReader::with_capacity(1 << 18, file)),
                    // Deleted since, as the configuration says.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                };
                continue;
            };
            let mut text = Vec::new();
            let bytes = file.read_until(b'\n', &mut text)?;
            if text.pop_if(|last| *last == b'\n').is_some() {
                if let Ok(envelope) = serde_json::from_slice(&text) {
                    return Ok(Some(Line { text, envelope }));
                }
            } else if self.files.is_empty() {
                // A line that is being written, or was left torn and will be written over: read from its beginning then.
                // `seek` forgets what is buffered of it, where `seek_relative` would keep it.
                file.seek(SeekFrom::Current(-i64::try_from(bytes).unwrap_or(0)))?;
                return Ok(None);
            } else {
                self.file = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(at: u8) -> String {
        let zeros = "0".repeat(64);
        format!(
            "{{\"v\":1,\"chain\":\"000\",\"seq\":{at},\"prev\":\"{zeros}\",\"at\":\"2026-11-24T00:00:0{at}.000000Z\",\"kind\":\"call\",\"hash\":\"{zeros}\"}}\n"
        )
    }

    fn told(records: &mut Records) -> Vec<String> {
        records.map(|line| String::from_utf8(line.unwrap().text).unwrap() + "\n").collect()
    }

    #[test]
    fn reading_goes_on_where_a_line_was_torn_and_in_files_and_chains_that_are_new() {
        let directory = tempfile::TempDir::new().unwrap();
        let place = |name: &str| directory.path().join(name);
        let mut first = File::create(place("chain-000.000001.jsonl")).unwrap();
        let (before, torn) = (line(1), line(2));
        first.write_all(before.as_bytes()).unwrap();
        first.write_all(&torn.as_bytes()[..30]).unwrap();
        let mut records = Records::open(directory.path()).unwrap();
        assert_eq!(told(&mut records), [before.as_str()]);
        records.resume().unwrap();
        assert!(told(&mut records).is_empty());

        // The next process puts the torn line aside, and goes on in its place.
        first.set_len(before.len() as u64).unwrap();
        let mut first =
            std::fs::OpenOptions::new().append(true).open(place("chain-000.000001.jsonl")).unwrap();
        first.write_all(line(3).as_bytes()).unwrap();
        std::fs::write(place("chain-000.000002.jsonl"), line(5)).unwrap();
        std::fs::write(place("chain-001.000001.jsonl"), line(4)).unwrap();
        records.resume().unwrap();
        assert_eq!(told(&mut records), [line(3), line(4), line(5)]);
        first.write_all(line(6).as_bytes()).unwrap();
        records.resume().unwrap();
        assert!(told(&mut records).is_empty(), "to a file that has a next one nothing is added");
    }
}
