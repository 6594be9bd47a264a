//! What happens at a fork, in whatever language it is made: the child lets go of what makes its parent look alive.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use iron_runtime::budget::HeldJournals;
use libc::c_int;

thread_local! {
    /// The journals of the process, from before the fork to after it.
    static JOURNALS: RefCell<Option<HeldJournals>> = const { RefCell::new(None) };
}

/// See to every fork from here on.
///
/// # Errors
/// The system has no memory for that.
#[expect(unsafe_code, reason = "the hooks of a fork have no safe wrapper")]
pub(crate) fn watch() -> io::Result<()> {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if WATCHED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    // SAFETY: the hooks live as long as the process, because Python never unloads a module; that of the child makes
    // nothing but system calls which may be made there.
    let failed = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// No journal is begun while a child comes to be: it would have it, and know nothing of it.
extern "C" fn before() {
    let _ = JOURNALS.try_with(|journals| journals.replace(Some(HeldJournals::keep())));
}

extern "C" fn in_parent() {
    let _ = JOURNALS.try_with(RefCell::take);
}

extern "C" fn in_child() {
    let Ok(Some(journals)) = JOURNALS.try_with(RefCell::take) else { return };
    let nothing = Nothing::open();
    journals.descriptors().for_each(|descriptor| nothing.put_in_place_of(descriptor));
}

/// A descriptor of `/dev/null`.
struct Nothing(c_int);

impl Nothing {
    #[expect(unsafe_code, reason = "in the child of a fork only bare system calls may be made")]
    fn open() -> Self {
        // SAFETY: the path is a string with its end.
        Self(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) })
    }

    /// The descriptor's number stays taken, for the file that believes to own it.
    #[expect(unsafe_code, reason = "as for `open`")]
    fn put_in_place_of(&self, descriptor: c_int) {
        // SAFETY: plain system calls with no pointers; nothing in the child reads or writes a journal.
        unsafe {
            if self.0 < 0 || libc::dup2(self.0, descriptor) < 0 {
                libc::close(descriptor);
            } else {
                libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
    }
}

impl Drop for Nothing {
    #[expect(unsafe_code, reason = "as for `open`")]
    fn drop(&mut self) {
        if self.0 >= 0 {
            // SAFETY: it was opened here and has no other owner.
            unsafe { libc::close(self.0) };
        }
    }
}
