//! Errors of the first user's machine, as its programs print them, handed to `rekit explain`.

use crate::support::{Answer, Machine};
use serde_json::Value;

/// Runs docker and hands all that it prints to rekit.
fn explained(machine: &Machine, line: &str) -> Value {
    let script = format!("docker {line} 2>&1 | rekit explain --format json");
    Answer::of(&mut machine.command("sh", &["-c", &script]))
        .good()
        .json()
}

#[test]
fn a_pasted_error_is_led_to_what_is_wrong_on_this_machine() {
    let machine = Machine::small();
    // One record cut in half hides all builders.
    let listing = explained(&machine, "buildx ls");
    assert_eq!(
        listing["likely"][0]["name"], "record-damaged",
        "{listing:#}"
    );
    assert_eq!(listing["likely"][0]["found"][0]["code"], "RK201");

    let ghost = explained(&machine, "--context desktop-linux ps");
    assert_eq!(
        ghost["likely"][0]["name"], "context-of-windows",
        "{ghost:#}"
    );
    assert_eq!(ghost["likely"][0]["found"][0]["code"], "RK101");

    // The project's own mistakes: nothing of the machine is to blame.
    let target = explained(&machine, "buildx build --builder team --target nowhere .");
    assert_eq!(target["likely"][0]["name"], "no-such-target", "{target:#}");
    let missing = explained(
        &machine,
        "buildx build --builder team --file gone.Dockerfile .",
    );
    assert_eq!(missing["likely"][0]["name"], "no-dockerfile", "{missing:#}");
    assert_eq!(missing["likely"][0]["found"], Value::Array(Vec::new()));
    let script = "docker buildx build --builder team --target hello --load . 2>&1 | rekit explain";
    Answer::of(&mut machine.command("sh", &["-c", script]))
        .ends_with(1)
        .says("Nothing is recognised");
}
