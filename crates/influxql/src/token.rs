//! The words and signs of the language.

/// One token's kind. Names and texts as in InfluxDB, for its error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    Illegal,
    Eof,
    Whitespace,
    Comment,
    Identifier,
    BoundParameter,
    Number,
    Integer,
    Duration,
    Text,
    BadText,
    BadEscape,
    Regex,
    BadRegex,
    True,
    False,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Eq,
    Neq,
    EqRegex,
    NeqRegex,
    Lt,
    Lte,
    Gt,
    Gte,
    LeftParen,
    RightParen,
    Comma,
    Colon,
    DoubleColon,
    Semicolon,
    Dot,
    Key(Keyword),
}

macro_rules! keywords {
    ($($name:ident = $text:literal,)*) => {
        /// Words that are not identifiers unless they are quoted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Keyword { $($name,)* }

        impl Keyword {
            const ALL: &[(Keyword, &'static str)] = &[$((Keyword::$name, $text),)*];

            pub fn text(self) -> &'static str {
                match self { $(Keyword::$name => $text,)* }
            }
        }
    };
}

keywords! {
    All = "ALL", Alter = "ALTER", Analyze = "ANALYZE", Any = "ANY", As = "AS", Asc = "ASC", Begin = "BEGIN", By = "BY",
    Cardinality = "CARDINALITY", Create = "CREATE", Continuous = "CONTINUOUS", Database = "DATABASE",
    Databases = "DATABASES", Default = "DEFAULT", Delete = "DELETE", Desc = "DESC", Destinations = "DESTINATIONS",
    Diagnostics = "DIAGNOSTICS", Distinct = "DISTINCT", Drop = "DROP", Duration = "DURATION", End = "END",
    Every = "EVERY", Exact = "EXACT", Explain = "EXPLAIN", Field = "FIELD", For = "FOR", From = "FROM",
    Grant = "GRANT", Grants = "GRANTS", Group = "GROUP", Groups = "GROUPS", In = "IN", Inf = "INF",
    Insert = "INSERT", Into = "INTO", Key = "KEY", Keys = "KEYS", Kill = "KILL", Limit = "LIMIT",
    Measurement = "MEASUREMENT", Measurements = "MEASUREMENTS", Name = "NAME", Offset = "OFFSET", On = "ON",
    Order = "ORDER", Password = "PASSWORD", Policy = "POLICY", Policies = "POLICIES", Privileges = "PRIVILEGES",
    Queries = "QUERIES", Query = "QUERY", Read = "READ", Replication = "REPLICATION", Resample = "RESAMPLE",
    Retention = "RETENTION", Revoke = "REVOKE", Select = "SELECT", Series = "SERIES", Set = "SET", Show = "SHOW",
    Shard = "SHARD", Shards = "SHARDS", Slimit = "SLIMIT", Soffset = "SOFFSET", Stats = "STATS",
    Subscription = "SUBSCRIPTION", Subscriptions = "SUBSCRIPTIONS", Tag = "TAG", To = "TO", User = "USER",
    Users = "USERS", Values = "VALUES", Where = "WHERE", With = "WITH", Write = "WRITE",
}

impl Token {
    /// A word: a keyword, an operator in letters, or an identifier.
    pub fn lookup(word: &str) -> Self {
        if word.eq_ignore_ascii_case("and") {
            return Self::And;
        } else if word.eq_ignore_ascii_case("or") {
            return Self::Or;
        } else if word.eq_ignore_ascii_case("true") {
            return Self::True;
        } else if word.eq_ignore_ascii_case("false") {
            return Self::False;
        }
        let keyword = Keyword::ALL.iter().find(|(_, text)| text.eq_ignore_ascii_case(word));
        keyword.map_or(Self::Identifier, |(keyword, _)| Self::Key(*keyword))
    }

    /// As error messages call it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Illegal => "ILLEGAL",
            Self::Eof => "EOF",
            Self::Whitespace => "WS",
            Self::Comment | Self::BoundParameter | Self::Integer | Self::BadRegex => "",
            Self::Identifier => "IDENT",
            Self::Number => "NUMBER",
            Self::Duration => "DURATIONVAL",
            Self::Text => "STRING",
            Self::BadText => "BADSTRING",
            Self::BadEscape => "BADESCAPE",
            Self::Regex => "REGEX",
            Self::True => "TRUE",
            Self::False => "FALSE",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Eq => "=",
            Self::Neq => "!=",
            Self::EqRegex => "=~",
            Self::NeqRegex => "!~",
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::LeftParen => "(",
            Self::RightParen => ")",
            Self::Comma => ",",
            Self::Colon => ":",
            Self::DoubleColon => "::",
            Self::Semicolon => ";",
            Self::Dot => ".",
            Self::Key(keyword) => keyword.text(),
        }
    }

    /// How tightly an operator binds; 0 for what is none.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Eq | Self::Neq | Self::EqRegex | Self::NeqRegex | Self::Lt | Self::Lte | Self::Gt | Self::Gte => 3,
            Self::Add | Self::Sub | Self::BitOr | Self::BitXor => 4,
            Self::Mul | Self::Div | Self::Mod | Self::BitAnd => 5,
            _ => 0,
        }
    }

    pub fn is_regex_operator(self) -> bool {
        matches!(self, Self::EqRegex | Self::NeqRegex)
    }

    /// Whether its result is true or false.
    pub fn is_comparison(self) -> bool {
        matches!(self.precedence(), 1..=3)
    }
}
