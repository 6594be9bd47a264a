//! What the runtime does, seen from outside: real sockets, and a simulator in the provider's place.

#[cfg(test)]
mod rig;

#[cfg(test)]
mod audit;
#[cfg(test)]
mod azure;
#[cfg(test)]
mod breakers;
#[cfg(test)]
mod budget_ledger;
#[cfg(test)]
mod budget_swarm;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod detectors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gates;
mod keys;
#[cfg(test)]
mod lease_events;
#[cfg(test)]
mod ledger_crash;
#[cfg(test)]
mod ledger_file;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod output;
#[cfg(test)]
mod passthrough;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod pseudonyms;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod stream_policies;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod timeouts;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod watching;
