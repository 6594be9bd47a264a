//! The ending of a connection that a fault breaks, below HTTP.

use std::fmt;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::flight::Flight;

/// How a connection ends. It travels as an error through the HTTP writer, which stops where it is.
pub(crate) struct Ending {
    /// Bytes still to be written as they are.
    tail: Bytes,
    how: How,
    /// Counted out when the connection has ended.
    _flight: Option<Flight>,
}

/// How the socket is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// TCP RST.
    Reset,
    /// TCP FIN.
    Close,
}

impl Ending {
    pub(crate) fn new(how: How, tail: Bytes, flight: Option<Flight>) -> Self {
        Self { tail, how, _flight: flight }
    }

    /// The ending that an HTTP error carries.
    pub(crate) fn of(error: &hyper::Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// End the connection. A client that has left already needs no ending.
    pub(crate) async fn apply(&self, mut stream: TcpStream) {
        let written = stream.write_all(&self.tail).await;
        let _ = match self.how {
            How::Reset => written.and_then(|()| stream.set_zero_linger()),
            How::Close => stream.shutdown().await,
        };
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending")
            .field("how", &self.how)
            .field("tail", &self.tail.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is broken by a fault")
    }
}

impl std::error::Error for Ending {}
