//! Text to tokens. Positions are counted as InfluxDB's scanner counts them, also where it counts the end twice: its
//! error messages name them.

mod characters;

use crate::token::Token;
use characters::{END, Reader};

/// Line and character, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub character: usize,
}

/// A token with where it begins and what is written there (empty for words and signs).
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned {
    pub token: Token,
    pub position: Position,
    pub literal: String,
}

impl Scanned {
    /// What an error message says was found.
    pub fn found(&self) -> String {
        if self.literal.is_empty() { self.token.text().to_owned() } else { self.literal.clone() }
    }
}

/// Reads one token after the other.
pub struct Lexer<'a> {
    reader: Reader<'a>,
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n')
}

fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic()
}

pub(crate) fn is_identifier_start(character: char) -> bool {
    is_letter(character) || character == '_'
}

pub(crate) fn is_identifier_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { reader: Reader::new(text) }
    }

    fn next(&mut self) -> char {
        self.reader.read().0
    }

    fn back(&mut self) {
        self.reader.back();
    }

    /// The character that comes next.
    pub fn peek(&mut self) -> char {
        let character = self.next();
        if character != END {
            self.back();
        }
        character
    }

    pub fn scan(&mut self) -> Scanned {
        let (first, position) = self.reader.read();
        if is_space(first) {
            return self.whitespace(position);
        } else if is_identifier_start(first) {
            self.back();
            return self.identifier(true);
        } else if first.is_ascii_digit() {
            return self.number();
        }
        let sign = |token| Scanned { token, position, literal: String::new() };
        match first {
            END => sign(Token::Eof),
            '"' => {
                self.back();
                self.identifier(true)
            }
            '\'' => self.text(),
            '.' => {
                let next = self.next();
                self.back();
                if next.is_ascii_digit() { self.number() } else { sign(Token::Dot) }
            }
            '$' => {
                let name = self.identifier(false);
                let token = if name.token == Token::Identifier { Token::BoundParameter } else { name.token };
                Scanned { token, position, literal: format!("${}", name.literal) }
            }
            '-' => {
                if self.next() == '-' {
                    self.skip_line();
                    return sign(Token::Comment);
                }
                self.back();
                sign(Token::Sub)
            }
            '/' => {
                if self.next() == '*' {
                    return sign(if self.skip_comment() { Token::Comment } else { Token::Illegal });
                }
                self.back();
                sign(Token::Div)
            }
            '=' => sign(self.either('~', Token::EqRegex, Token::Eq)),
            '!' => match self.next() {
                '=' => sign(Token::Neq),
                '~' => sign(Token::NeqRegex),
                _ => {
                    self.back();
                    Scanned { token: Token::Illegal, position, literal: first.to_string() }
                }
            },
            '>' => sign(self.either('=', Token::Gte, Token::Gt)),
            '<' => match self.next() {
                '=' => sign(Token::Lte),
                '>' => sign(Token::Neq),
                _ => {
                    self.back();
                    sign(Token::Lt)
                }
            },
            ':' => sign(self.either(':', Token::DoubleColon, Token::Colon)),
            '+' => sign(Token::Add),
            '*' => sign(Token::Mul),
            '%' => sign(Token::Mod),
            '&' => sign(Token::BitAnd),
            '|' => sign(Token::BitOr),
            '^' => sign(Token::BitXor),
            '(' => sign(Token::LeftParen),
            ')' => sign(Token::RightParen),
            ',' => sign(Token::Comma),
            ';' => sign(Token::Semicolon),
            _ => Scanned { token: Token::Illegal, position, literal: first.to_string() },
        }
    }

    fn either(&mut self, second: char, both: Token, one: Token) -> Token {
        if self.next() == second {
            return both;
        }
        self.back();
        one
    }

    fn whitespace(&mut self, position: Position) -> Scanned {
        let mut literal = self.reader.current().0.to_string();
        loop {
            let character = self.next();
            if character == END {
                break;
            } else if !is_space(character) {
                self.back();
                break;
            }
            literal.push(character);
        }
        Scanned { token: Token::Whitespace, position, literal }
    }

    fn skip_line(&mut self) {
        while !matches!(self.next(), '\n' | END) {}
    }

    /// `false` if it does not end.
    fn skip_comment(&mut self) -> bool {
        let mut after_star = false;
        loop {
            match self.next() {
                '/' if after_star => return true,
                END => return false,
                character => after_star = character == '*',
            }
        }
    }

    fn identifier(&mut self, keywords: bool) -> Scanned {
        let (_, position) = self.reader.read();
        self.back();
        let mut literal = String::new();
        loop {
            let character = self.next();
            if character == END {
                break;
            } else if character == '"' {
                let quoted = self.text();
                if quoted.token != Token::Text {
                    return quoted;
                }
                return Scanned { token: Token::Identifier, position, literal: quoted.literal };
            } else if is_identifier_part(character) {
                literal.push(character);
            } else {
                self.back();
                break;
            }
        }
        let token = if keywords { Token::lookup(&literal) } else { Token::Identifier };
        if token != Token::Identifier {
            literal.clear();
        }
        Scanned { token, position, literal }
    }

    /// Quoted text; the opening quote has been read.
    fn text(&mut self) -> Scanned {
        // Its place is told as that of the character before the quote.
        self.back();
        let (_, position) = self.reader.current();
        let ending = self.next();
        let mut literal = String::new();
        loop {
            let character = self.next();
            if character == ending {
                return Scanned { token: Token::Text, position, literal };
            } else if character == END || character == '\n' {
                return Scanned { token: Token::BadText, position, literal };
            } else if character == '\\' {
                match self.next() {
                    'n' => literal.push('\n'),
                    escaped @ ('\\' | '"' | '\'') => literal.push(escaped),
                    other => {
                        let (_, position) = self.reader.current();
                        return Scanned { token: Token::BadEscape, position, literal: format!("\\{other}") };
                    }
                }
            } else {
                literal.push(character);
            }
        }
    }

    /// A regular expression, whose opening slash comes next.
    pub fn scan_regex(&mut self) -> Scanned {
        let (_, position) = self.reader.current();
        let bad = Scanned { token: Token::BadRegex, position, literal: String::new() };
        if self.next() != '/' {
            return bad;
        }
        let mut literal = String::new();
        loop {
            match self.next() {
                '/' => return Scanned { token: Token::Regex, position, literal },
                END | '\n' => return bad,
                '\\' => {
                    let escaped = self.next();
                    if escaped == END {
                        return bad;
                    } else if escaped == '/' {
                        literal.push('/');
                    } else {
                        self.back();
                        literal.push('\\');
                    }
                }
                character => literal.push(character),
            }
        }
    }

    /// A number; its first character has been read.
    fn number(&mut self) -> Scanned {
        let (_, position) = self.reader.current();
        self.back();
        let mut literal = self.digits();
        let mut decimal = false;
        if self.next() == '.' {
            decimal = true;
            let digit = self.next();
            if digit.is_ascii_digit() {
                literal.push('.');
                literal.push(digit);
                literal.push_str(&self.digits());
            } else {
                self.back();
            }
        } else {
            self.back();
        }
        if decimal {
            return Scanned { token: Token::Number, position, literal };
        }
        let is_unit = |character| is_letter(character) || character == 'µ';
        let character = self.next();
        if !is_unit(character) {
            self.back();
            return Scanned { token: Token::Integer, position, literal };
        }
        literal.push(character);
        loop {
            let character = self.next();
            if !is_unit(character) && !character.is_ascii_digit() {
                self.back();
                return Scanned { token: Token::Duration, position, literal };
            }
            literal.push(character);
        }
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        loop {
            let character = self.next();
            if !character.is_ascii_digit() {
                self.back();
                return digits;
            }
            digits.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Keyword;

    fn tokens(text: &str) -> Vec<(Token, String)> {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        loop {
            let next = lexer.scan();
            if next.token == Token::Eof {
                return found;
            }
            found.push((next.token, next.literal));
        }
    }

    #[test]
    fn words_numbers_and_quotes() {
        assert_eq!(tokens("SeLeCt"), [(Token::Key(Keyword::Select), String::new())]);
        assert_eq!(tokens("\"a \\\" b\""), [(Token::Identifier, "a \" b".to_owned())]);
        assert_eq!(tokens("'it\\'s'"), [(Token::Text, "it's".to_owned())]);
        assert_eq!(tokens("'open"), [(Token::BadText, "open".to_owned())]);
        assert_eq!(tokens("10m"), [(Token::Duration, "10m".to_owned())]);
        assert_eq!(tokens("1h30m"), [(Token::Duration, "1h30m".to_owned())]);
        assert_eq!(tokens("12."), [(Token::Number, "12".to_owned())]);
        assert_eq!(tokens(".5"), [(Token::Number, ".5".to_owned())]);
        assert_eq!(tokens("$p"), [(Token::BoundParameter, "$p".to_owned())]);
        assert_eq!(tokens("<>"), [(Token::Neq, String::new())]);
        assert_eq!(tokens("-- to the end\n").first().map(|(token, _)| *token), Some(Token::Comment));
        assert_eq!(tokens("/* a **/").first().map(|(token, _)| *token), Some(Token::Comment));
    }

    #[test]
    fn a_regular_expression_keeps_its_escapes_but_slashes() {
        let mut lexer = Lexer::new(r"/a\/b\.c/");
        assert_eq!(lexer.scan_regex().literal, r"a/b\.c");
    }
}
