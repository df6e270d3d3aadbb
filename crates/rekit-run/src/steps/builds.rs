//! Builds that a step waits for: told while they run, named where they do not end, cut only where a person agreed.

use rekit_core::{
    event::Event,
    inventory::ActiveBuild,
    name::{ContainerName, HostId},
    step::NodePlace,
};

use crate::world::{ChangeWorld, WorldError};

/// Seconds that builds have to end once they are cut.
const CUT_SECONDS: u32 = 30;

/// How often a daemon with a client and without a build is looked at.
pub(super) const LOOKS: u32 = 3;

/// Returns the builds on a node that is to end now. A client that has connected and built nothing yet is about to: it gets its moment, so
/// that its build is seen and not cut.
pub(super) async fn before_the_end<W: ChangeWorld>(
    host: &HostId,
    container: &ContainerName,
    world: &W,
) -> Result<Vec<ActiveBuild>, WorldError> {
    for _ in 0..LOOKS {
        let active = world.active_builds(host, container).await?;
        if !active.is_empty() || world.clients_leave(host, container).await? {
            return Ok(active);
        }
    }
    Ok(Vec::new()) // Whoever stays that long without a build has none in mind.
}

/// Watches the builds on a node whose clients should all be gone.
///
/// One that begins after the grace has a client that does not read the record: another store, or a run of several builds. Whoever did that
/// once may do it again, so that the node must be quiet as long as the grace then; else the stop would meet his next build.
pub(super) struct Watch {
    grace: u32,
    /// The builds of the first look.
    first: Option<Vec<String>>,
    /// The last build that began after it.
    late: Option<ActiveBuild>,
    /// Looks in a row without a build.
    quiet: u32,
}

impl Watch {
    /// Begins to watch after the grace.
    pub(super) fn new(grace: u32) -> Self {
        Self {
            grace,
            first: None,
            late: None,
            quiet: 0,
        }
    }

    /// Takes a look in; returns whether no build is to be expected any more.
    pub(super) fn is_over(&mut self, active: &[ActiveBuild]) -> bool {
        let references = || active.iter().map(|build| build.reference.clone()).collect();
        let first = self.first.get_or_insert_with(references);
        let late = active.iter().find(|it| !first.contains(&it.reference));
        self.late = late.cloned().or(self.late.take());
        self.quiet = if active.is_empty() { self.quiet + 1 } else { 0 };
        active.is_empty() && (self.late.is_none() || self.quiet > self.grace)
    }

    /// Returns the builds that the wait was too short for: those that run, else the last that began late.
    pub(super) fn blame(self, active: Vec<ActiveBuild>) -> Vec<ActiveBuild> {
        if active.is_empty() {
            self.late.into_iter().collect()
        } else {
            active
        }
    }
}

/// Says which builds are waited for.
pub(super) fn awaited(on: &str, builds: Vec<ActiveBuild>, waited: u32, limit: u32) -> Event {
    Event::BuildsAwaited {
        on: on.to_owned(),
        builds,
        seconds: u64::from(waited),
        limit: u64::from(limit),
    }
}

/// Refuses to go on over builds that do not end.
pub(super) fn still_run(on: &str, builds: &[ActiveBuild], limit: u32) -> WorldError {
    let (count, told) = (builds.len(), ActiveBuild::all_told(builds));
    WorldError::Refused {
        why: format!("{count} build(s) still run on {on} after {limit} s: {told}"),
    }
}

/// Cuts the builds on a node, and those that begin meanwhile; returns what was cut, in words.
pub(super) async fn cut<W: ChangeWorld>(
    node: &NodePlace,
    builds: Vec<ActiveBuild>,
    world: &mut W,
) -> Result<Vec<String>, WorldError> {
    if builds.is_empty() {
        return Ok(Vec::new());
    }
    let mut cut: Vec<ActiveBuild> = Vec::new();
    let mut left = builds;
    for second in 0..CUT_SECONDS {
        for build in &left {
            if !cut.iter().any(|known| known.reference == build.reference) {
                cut.push(build.clone());
            }
        }
        world.cut_builds(&node.host, &node.container).await?;
        left = world.active_builds(&node.host, &node.container).await?;
        if left.is_empty() {
            return Ok(cut.iter().map(ActiveBuild::told).collect());
        }
        let event = awaited(node.container.as_str(), left.clone(), second, CUT_SECONDS);
        world.pass_second(event).await?;
    }
    let (count, told) = (left.len(), ActiveBuild::all_told(&left));
    let why = format!(
        "{count} build(s) on {} were cut {CUT_SECONDS} s ago and still run: {told}",
        node.container
    );
    Err(WorldError::Refused { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_once_after_the_grace_is_waited_for_as_long_again() {
        let build = |reference: &str| ActiveBuild {
            reference: reference.to_owned(),
            ..ActiveBuild::default()
        };
        let looks = |grace: u32, looks: &[&[&str]]| {
            let mut watch = Watch::new(grace);
            let active = |look: &&[&str]| look.iter().map(|it| build(it)).collect::<Vec<_>>();
            let looks = looks.iter().map(active);
            looks
                .map(|look| watch.is_over(&look))
                .collect::<Vec<bool>>()
        };
        assert_eq!(looks(2, &[&[]]), [true]);
        assert_eq!(looks(2, &[&["a", "b"], &["b"], &[]]), [false, false, true]);
        let late: &[&[&str]] = &[&["a"], &["b"], &[], &[], &[]];
        assert_eq!(looks(2, late), [false, false, false, false, true]);
        let again: &[&[&str]] = &[&["a"], &["b"], &[], &["c"], &[]];
        assert_eq!(looks(1, again), [false; 5]);
        let mut watch = Watch::new(1);
        watch.is_over(&[build("a")]);
        watch.is_over(&[build("late")]);
        assert_eq!(watch.blame(Vec::new()), [build("late")]);
    }
}
