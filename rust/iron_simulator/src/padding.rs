//! Padding: white space before a reply, all of it compressed if a coding is given.

use bytes::Bytes;

use crate::body::{Piece, Source};
use crate::coding::Press;
use crate::fault::PaddingFault;

/// How much white space is made at once.
const BLOCK: u64 = 1 << 20;

/// A reply after white space.
pub(crate) struct Padded {
    left: u64,
    rest: Source,
    /// Until all of it was compressed.
    press: Option<Press>,
}

impl Padded {
    pub(crate) fn new(padding: PaddingFault, rest: Source) -> Self {
        Self { left: padding.bytes, rest, press: padding.coding.map(Press::new) }
    }

    /// The next piece: a block of white space, or one of the reply's own.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        if self.left > 0 {
            let bytes = self.space();
            return Some(Piece { bytes, ..Piece::default() });
        }
        match (self.rest.next(), &mut self.press) {
            (Some(piece), Some(press)) => Some(Piece { bytes: press.add(&piece.bytes), ..piece }),
            (Some(piece), None) => Some(piece),
            (None, press) => {
                let bytes = press.take()?.end();
                Some(Piece { bytes, ..Piece::default() })
            }
        }
    }

    fn space(&mut self) -> Bytes {
        let len = self.left.min(BLOCK);
        self.left -= len;
        let mut space = vec![b' '; usize::try_from(len).unwrap_or_default()];
        if self.left == 0
            && let Some(last) = space.last_mut()
        {
            // So that what follows begins a line, which the events of a stream have to.
            *last = b'\n';
        }
        match &mut self.press {
            Some(press) => press.add(&space),
            None => space.into(),
        }
    }
}
