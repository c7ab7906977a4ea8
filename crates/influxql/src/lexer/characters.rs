//! Characters of a text with their places, some of which can be taken back.

use super::Position;

/// What comes behind the last character.
pub(super) const END: char = '\0';

/// Characters with up to three of them taken back.
pub(super) struct Reader<'a> {
    rest: std::str::Chars<'a>,
    buffer: [(char, Position); 3],
    index: usize,
    unread: usize,
    position: Position,
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars(),
            buffer: [(END, Position::default()); 3],
            index: 0,
            unread: 0,
            position: Position::default(),
            ended: false,
        }
    }

    /// The character read last comes next again; up to three of them do.
    pub(super) fn back(&mut self) {
        self.unread += 1;
    }

    pub(super) fn read(&mut self) -> (char, Position) {
        if self.unread > 0 {
            self.unread -= 1;
            return self.current();
        }
        let mut character = self.rest.next().unwrap_or(END);
        if character == '\r' {
            if self.rest.as_str().starts_with('\n') {
                self.rest.next();
            }
            character = '\n';
        }
        self.index = (self.index + 1) % self.buffer.len();
        self.buffer[self.index] = (character, self.position);
        if character == '\n' {
            self.position = Position { line: self.position.line + 1, character: 0 };
        } else if !self.ended {
            self.position.character += 1;
        }
        self.ended |= character == END;
        self.current()
    }

    /// The character read last.
    pub(super) fn current(&self) -> (char, Position) {
        let size = self.buffer.len();
        self.buffer[(self.index + size - self.unread % size) % size]
    }
}
