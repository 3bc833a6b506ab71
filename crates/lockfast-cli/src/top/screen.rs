//! The terminal: taken, drawn on, and always given back.

use std::io;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, enable_raw_mode};
use ratatui::{DefaultTerminal, Frame, Terminal};

/// The terminal while the program has it. When this is dropped, or when the program panics, it is as it
/// was before.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        // It also has a panic give the terminal back before it says anything.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // Half of it may be done.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    pub(crate) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(|_| ())
    }

    /// Gives the terminal back for a while.
    #[allow(
        dead_code,
        reason = "the tests take this file for themselves, without its user"
    )]
    pub(crate) fn close(&mut self) {
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }

    /// Takes it again, whatever others did to it.
    #[allow(
        dead_code,
        reason = "the tests take this file for themselves, without its user"
    )]
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All))?;
        // A new one draws everything. `Terminal::clear` would ask the terminal where the cursor is, and
        // the answer goes to the thread that reads the keys.
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell if the terminal is gone.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}
