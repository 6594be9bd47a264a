//! The body of a request on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::budget::Sent;

/// A body that marks the moment when the connection takes it, and is not given once nobody pays for it.
pub(super) struct RequestBody {
    bytes: Option<Bytes>,
    sent: Sent,
}

#[derive(Debug, thiserror::Error)]
#[error("the call has ended")]
pub(super) struct CallEnded;

impl RequestBody {
    pub(super) fn new(bytes: Bytes, sent: Sent) -> Self {
        Self { bytes: Some(bytes), sent }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CallEnded;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallEnded>>> {
        if !self.sent.mark() {
            return Poll::Ready(Some(Err(CallEnded)));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::upstream::Billing;

    fn frame(body: &mut RequestBody) -> Option<Result<Bytes, CallEnded>> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).now_or_never().unwrap();
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn a_request_leaves_only_while_somebody_pays_for_it() {
        let sent = Sent::default();
        let mut body = RequestBody::new(Bytes::from_static(b"{}"), sent.clone());
        assert_eq!(Billing::of(&sent), Billing::Free);
        assert!(frame(&mut body).unwrap().is_err(), "the call has ended for free");

        let sent = Sent::default();
        let mut body = RequestBody::new(Bytes::from_static(b"{}"), sent.clone());
        assert_eq!(frame(&mut body).unwrap().unwrap(), "{}");
        assert_eq!(Billing::of(&sent), Billing::InDoubt);
        assert!(frame(&mut body).is_none());
    }
}
