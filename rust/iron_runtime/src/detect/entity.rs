//! Entities: what a detector can find.

use std::fmt;
use std::sync::Arc;

/// What was found, by the name that Presidio gives it where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Entity {
    /// A built-in entity.
    Known(Known),
    /// A word of a keyword list of the configuration.
    Keyword(Arc<str>),
    /// A match of a pattern of the configuration.
    Pattern(Arc<str>),
    /// What a detector of the user's own found, and what that calls it.
    Detector(Arc<str>, Option<Arc<str>>),
    /// A text that is too long for a rule.
    Size,
}

/// Entities that belong together: rules can name a family, and of overlapping findings of one family the surest stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// What identifies a person or an account.
    Pii,
    /// What opens something.
    Secret,
    /// Text that is meant to steer a model.
    PromptInjection,
    /// Addresses of machines and pages.
    Network,
    /// What the configuration looks for.
    Custom,
}

impl Family {
    /// Families that a rule can name.
    pub const NAMED: [Self; 4] = [Self::Pii, Self::Secret, Self::PromptInjection, Self::Network];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Secret => "secret",
            Self::PromptInjection => "prompt_injection",
            Self::Network => "network",
            Self::Custom => "custom",
        }
    }
}

macro_rules! known {
    ($($variant:ident $name:literal $family:ident $doc:literal,)*) => {
        /// A built-in entity.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Known { $(#[doc = $doc] $variant,)* }

        impl Known {
            /// Every built-in entity.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in rules, findings and records.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The family it belongs to.
            pub const fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family,)* }
            }
        }
    };
}

known! {
    EmailAddress "EMAIL_ADDRESS" Pii "An e-mail address.",
    PhoneNumber "PHONE_NUMBER" Pii "A telephone number.",
    CreditCard "CREDIT_CARD" Pii "A payment card's number.",
    IbanCode "IBAN_CODE" Pii "An international bank account number.",
    UsSsn "US_SSN" Pii "A US social security number.",
    UsItin "US_ITIN" Pii "A US individual taxpayer identification number.",
    UsPassport "US_PASSPORT" Pii "A US passport's number.",
    UsDriverLicense "US_DRIVER_LICENSE" Pii "A US driver licence's number.",
    UsBankNumber "US_BANK_NUMBER" Pii "A US bank account's number.",
    AbaRoutingNumber "ABA_ROUTING_NUMBER" Pii "A US bank's routing number.",
    UsNpi "US_NPI" Pii "A US national provider identifier.",
    MedicalLicense "MEDICAL_LICENSE" Pii "A US DEA registration number.",
    UkNhs "UK_NHS" Pii "A UK NHS number.",
    UkNino "UK_NINO" Pii "A UK national insurance number.",
    EuVatNumber "EU_VAT_NUMBER" Pii "A VAT number of a member of the EU.",
    DeTaxId "DE_TAX_ID" Pii "A German tax identification number.",
    DeIdCard "DE_ID_CARD" Pii "A German identity card's number.",
    FrNir "FR_NIR" Pii "A French social security number.",
    EsNif "ES_NIF" Pii "A Spanish tax identification number.",
    EsNie "ES_NIE" Pii "A Spanish foreigner's number.",
    ItFiscalCode "IT_FISCAL_CODE" Pii "An Italian fiscal code.",
    PlPesel "PL_PESEL" Pii "A Polish personal number.",
    NlBsn "NL_BSN" Pii "A Dutch citizen service number.",
    InPan "IN_PAN" Pii "An Indian permanent account number.",
    InAadhaar "IN_AADHAAR" Pii "An Indian Aadhaar number.",
    SgNricFin "SG_NRIC_FIN" Pii "A Singaporean identity card's number.",
    AuTfn "AU_TFN" Pii "An Australian tax file number.",
    AuAbn "AU_ABN" Pii "An Australian business number.",
    AuAcn "AU_ACN" Pii "An Australian company number.",
    AuMedicare "AU_MEDICARE" Pii "An Australian Medicare card's number.",
    KrRrn "KR_RRN" Pii "A Korean resident registration number.",
    BrCpf "BR_CPF" Pii "A Brazilian taxpayer's number.",
    BrCnpj "BR_CNPJ" Pii "A Brazilian company's number.",
    DateOfBirth "DATE_OF_BIRTH" Pii "A date that the text says is one of birth.",
    Crypto "CRYPTO" Pii "A Bitcoin or Ethereum address.",
    IpAddress "IP_ADDRESS" Network "An IPv4 or IPv6 address.",
    MacAddress "MAC_ADDRESS" Network "A network card's address.",
    Url "URL" Network "A web address.",
    ApiKey "API_KEY" Secret "A key in a vendor's format.",
    PrivateKey "PRIVATE_KEY" Secret "A private key in PEM or OpenSSH form.",
    Jwt "JWT" Secret "A JSON web token.",
    ConnectionString "CONNECTION_STRING" Secret "A URL that holds a password.",
    Password "PASSWORD" Secret "A value that is assigned to a name like `password`.",
    PromptInjection "PROMPT_INJECTION" PromptInjection "Text that tells a model to depart from its instructions.",
}

impl Entity {
    /// The family it belongs to.
    pub fn family(&self) -> Family {
        match self {
            Self::Known(known) => known.family(),
            Self::Keyword(_) | Self::Pattern(_) | Self::Detector(..) | Self::Size => Family::Custom,
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => f.write_str(known.as_str()),
            Self::Keyword(name) => write!(f, "keyword:{name}"),
            Self::Pattern(name) => write!(f, "pattern:{name}"),
            Self::Detector(name, None) => write!(f, "detector:{name}"),
            Self::Detector(name, Some(label)) => write!(f, "detector:{name}/{label}"),
            Self::Size => f.write_str("SIZE"),
        }
    }
}
