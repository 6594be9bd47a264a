//! The descriptor that wakes an event loop.

use std::io;
#[cfg(not(target_os = "linux"))]
use std::os::fd::AsRawFd;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An eventfd: one descriptor, and eight bytes whatever is pending.
#[cfg(target_os = "linux")]
pub(crate) struct Wake(OwnedFd);

#[cfg(target_os = "linux")]
impl Wake {
    #[expect(unsafe_code, reason = "eventfd has no safe wrapper in the standard library")]
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a plain system call with no pointers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and has no other owner.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    pub(crate) fn fileno(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Cannot fail but for a counter that is full, and then the loop is awake.
    #[expect(unsafe_code, reason = "as for `new`")]
    pub(crate) fn signal(&self) {
        let one: u64 = 1;
        // SAFETY: the pointer is to eight readable bytes, and the descriptor is open as long as `self`.
        unsafe { libc::write(self.0.as_raw_fd(), std::ptr::from_ref(&one).cast(), 8) };
    }

    #[expect(unsafe_code, reason = "as for `new`")]
    pub(crate) fn clear(&self) {
        let mut count: u64 = 0;
        // SAFETY: the pointer is to eight writable bytes, and the descriptor is open as long as `self`.
        unsafe { libc::read(self.0.as_raw_fd(), std::ptr::from_mut(&mut count).cast(), 8) };
    }
}

/// A pair of sockets, one end to write and one to watch.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Wake {
    write: std::os::unix::net::UnixStream,
    read: std::os::unix::net::UnixStream,
}

#[cfg(not(target_os = "linux"))]
impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let (write, read) = std::os::unix::net::UnixStream::pair()?;
        write.set_nonblocking(true)?;
        read.set_nonblocking(true)?;
        Ok(Self { write, read })
    }

    pub(crate) fn fileno(&self) -> i32 {
        self.read.as_raw_fd()
    }

    /// Cannot fail but for a buffer that is full, and then the loop is awake.
    pub(crate) fn signal(&self) {
        drop(io::Write::write(&mut &self.write, &[1]));
    }

    pub(crate) fn clear(&self) {
        drop(io::Read::read(&mut &self.read, &mut [0; 64]));
    }
}
