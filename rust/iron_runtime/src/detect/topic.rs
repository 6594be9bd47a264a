//! Topics: what the words around a number say that it is.

use serde::Deserialize;

/// What a word says of the numbers beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Topic {
    Card,
    Iban,
    Ssn,
    Itin,
    Passport,
    Driver,
    Account,
    Routing,
    Npi,
    Medical,
    Nhs,
    Nino,
    Vat,
    DeTax,
    IdCard,
    FrNir,
    EsId,
    ItId,
    PlId,
    NlId,
    InPan,
    InId,
    SgId,
    AuTfn,
    AuAbn,
    AuAcn,
    AuMedicare,
    KrId,
    BrCpf,
    BrCnpj,
    Birth,
    Phone,
}

impl Topic {
    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }
}
