//! Codings: compressing a body as it is made.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::fault::Coding;

/// Compresses what is added. White space is all that there is much of: the quickest level makes it small.
pub(crate) struct Press {
    encoder: Box<dyn Write + Send>,
    pressed: Pressed,
}

/// What came out. The encoders keep their writer to themselves, so it is shared with them.
#[derive(Clone, Default)]
struct Pressed(Arc<Mutex<Vec<u8>>>);

impl Coding {
    /// The name in a `content-encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl Press {
    pub(crate) fn new(coding: Coding) -> Self {
        /// A buffer and a window as the `brotli` command has them.
        const BROTLI: (usize, u32) = (4096, 22);
        let pressed = Pressed::default();
        let out = pressed.clone();
        let encoder: Box<dyn Write + Send> = match coding {
            Coding::Gzip => Box::new(GzEncoder::new(out, Compression::fast())),
            Coding::Deflate => Box::new(ZlibEncoder::new(out, Compression::fast())),
            Coding::Br => Box::new(brotli::CompressorWriter::new(out, BROTLI.0, 1, BROTLI.1)),
            // Making an encoder fails for a level that does not exist, and 1 does.
            Coding::Zstd => match zstd::Encoder::new(out, 1) {
                Ok(encoder) => Box::new(encoder.auto_finish()),
                Err(_) => Box::new(io::sink()),
            },
        };
        Self { encoder, pressed }
    }

    /// Compress `bytes`: what a client needs to read them, and nothing that it has had.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Bytes {
        // Memory takes whatever it is given.
        let _ = self.encoder.write_all(bytes).and_then(|()| self.encoder.flush());
        self.pressed.take()
    }

    /// What ends the coding.
    pub(crate) fn end(self) -> Bytes {
        drop(self.encoder);
        self.pressed.take()
    }
}

impl Pressed {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Pressed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
