//! Work: what detectors look at behind the one reading of a text, so that tests can hold it to the length of the text.

#[cfg(test)]
thread_local! {
    static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A detector looked at so many bytes, or places, of a text.
#[cfg(not(test))]
pub(super) const fn looked_at(_count: usize) {}

/// A detector looked at so many bytes, or places, of a text.
#[cfg(test)]
pub(super) fn looked_at(count: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + count);
}

/// How many bytes, or places, this thread's detectors looked at since it was asked last.
#[cfg(test)]
pub(super) fn taken() -> usize {
    LOOKED_AT.take()
}
