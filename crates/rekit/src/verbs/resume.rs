//! `rekit resume`: goes on with a run that broke off, where its journal says it stands.

use crate::{
    call::Call,
    change::{self, Asked},
    document::{self, document},
    exit::Exit,
    failure::Failure,
    ui,
};

pub(crate) async fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    let Some(open) = call.open_run()? else {
        let nothing = document("rekit/result", document::no_run());
        call.output
            .give(&nothing, |_| "Nothing to do: no run is open.\n".to_owned());
        return Ok(Exit::Done);
    };
    let style = &call.output.note_style;
    call.output
        .note(&ui::status::open_run(&document::open_run(&open), style));
    change::agree(call, "Go on with it?").await?;
    let told = change::follow(call, &open.plan, Asked::Forward, async |session| {
        Box::pin(session.resume()).await
    });
    Ok(told.await?.exit)
}
