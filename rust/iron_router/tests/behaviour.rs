//! What the router does, seen from outside: real sockets, and a simulator in the provider's place.

#[cfg(test)]
mod rig;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod refusals;
