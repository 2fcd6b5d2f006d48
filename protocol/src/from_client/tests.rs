mod bodies;
mod commands;
mod hostile;

use super::*;
use crate::refusal::Code;

/// What a decoder makes of a message, as text, so that it can be kept and compared.
fn decode(message: &str) -> Result<String, DecodeError> {
    Decoder::new().decode(message.as_bytes()).map(|request| format!("{request:?}"))
}

/// The refusal of a message that is understood.
fn refused(message: &str) -> (Code, &'static str) {
    match decode(message) {
        Err(DecodeError::Refused { refusal, .. }) => (refusal.code, refusal.message),
        other => panic!("{message} gave {other:?}"),
    }
}

fn malformed(message: &[u8]) -> &'static str {
    match Decoder::new().decode(message) {
        Err(DecodeError::Malformed(refusal)) => {
            assert_eq!(refusal.code, Code::BadRequest);
            refusal.message
        }
        other => panic!("{} gave {other:?}", message.escape_ascii()),
    }
}
