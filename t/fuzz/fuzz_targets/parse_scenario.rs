//! Any text is a scenario or a list of mistakes, and every mistake can be drawn.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pwtest::scenario;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    // Files that are not text are refused before they are parsed.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(problems) = scenario::parse(Path::new("fuzz.yaml"), text.to_owned()) {
        assert!(!problems.is_empty(), "refused without a reason");
        for problem in problems {
            let _ = problem.render(false);
        }
    }
});
