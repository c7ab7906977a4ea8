//! What a request proves who it is with. It is never shown.

use std::fmt;

use reqwest::RequestBuilder;
use reqwest::header::AUTHORIZATION;

#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credential {
    #[default]
    None,
    Basic {
        username: String,
        password: String,
    },
    /// `Authorization: Bearer`
    Bearer(String),
    /// `Authorization: Token`, as InfluxDB 2 has it.
    Token(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}

impl Credential {
    /// A token stands in a header as it is.
    pub fn can_be_sent(&self) -> bool {
        match self {
            Self::None | Self::Basic { .. } => true,
            Self::Bearer(token) | Self::Token(token) => token.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        }
    }

    pub(crate) fn put(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Token(token) => request.header(AUTHORIZATION, format!("Token {token}")),
        }
    }
}
