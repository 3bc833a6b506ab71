//! The terminal, which is always restored.

use std::io;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, enable_raw_mode};
use ratatui::{DefaultTerminal, Frame, Terminal};

/// The terminal, in use by the program. It is restored on drop, and if the program panics.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        // Also installs a panic hook that restores the terminal before the message.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // It may have succeeded in part.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    pub(crate) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(|_| ())
    }

    /// Restores the terminal for a while.
    #[allow(
        dead_code,
        reason = "the tests take this file for themselves, without its user"
    )]
    pub(crate) fn close(&mut self) {
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }

    /// Takes the terminal again, whatever other programs did to it.
    #[allow(
        dead_code,
        reason = "the tests take this file for themselves, without its user"
    )]
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All))?;
        // A new `Terminal` draws everything. `Terminal::clear` would ask the terminal for its
        // cursor position, and the answer would go to the thread that reads the keys.
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to report to if the terminal is gone.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}
