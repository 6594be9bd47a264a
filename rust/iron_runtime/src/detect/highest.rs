//! The highest score that a detector gives.

use super::{Known, identifier};

impl Known {
    /// No finding of it has a higher score.
    pub(crate) fn highest_score(self) -> f32 {
        match self {
            Self::Url => 0.6,
            Self::Password => 0.75,
            Self::IpAddress => 0.8,
            Self::DateOfBirth => 0.85,
            Self::MacAddress | Self::PhoneNumber | Self::ConnectionString => 0.9,
            Self::EmailAddress | Self::ApiKey | Self::EuVatNumber => 0.95,
            Self::CreditCard | Self::Jwt => 0.98,
            Self::IbanCode | Self::Crypto | Self::PrivateKey | Self::PromptInjection => 1.0,
            identifier => identifier::highest_score(identifier),
        }
    }
}
