//! Plans to bring an archived state back: a new node on a copy of it takes the place of the present one, which is parked.

use super::{
    NoPlan, Reinstall, Wishes,
    builders::{CONTAINER_DRIVER, Renewal, image_of},
    nodes::as_it_is,
};
use crate::{
    draft::Ground,
    goal::Goal,
    inventory::{BuilderRecord, NodeRecord, Record},
    name::{BuilderName, NodeName, VolumeName},
    plan::{Plan, Purpose},
    record::NodeEdit,
    step::{BootState, StateSource},
};

/// An archived state and where it goes.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The archive.
    pub source: StateSource,
    /// The volume that it was made of.
    pub volume: VolumeName,
    /// The builder that gets it; `None`: the one that it was made of.
    pub builder: Option<BuilderName>,
}

/// Plans to bring an archived state back.
pub fn restore(
    ground: &Ground<'_>,
    goal: &Goal,
    restore: &Restore,
    wishes: &Wishes,
) -> Result<Plan, NoPlan> {
    let mut plan = Reinstall::begin(ground, goal, wishes, Purpose::Restore)?;
    plan.save_configuration();
    let origin = NodeName::of_volume(restore.volume.as_str());
    let owner = match &restore.builder {
        Some(name) => plan
            .store
            .builders
            .iter()
            .find(|builder| &builder.name == name),
        None => Some(
            plan.builder_of(origin.as_ref())
                .ok_or_else(|| NoPlan::NoOwner(restore.volume.clone()))?,
        ),
    };
    match (owner, &restore.builder) {
        (Some(builder), _) => plan.renew_with(builder, origin.as_ref(), &restore.source)?,
        (None, Some(name)) => plan.create(
            name,
            Some(BootState::Archived {
                source: restore.source.clone(),
            }),
        ),
        (None, None) => unreachable!("BUG: a builder without a name"),
    }
    plan.validate();
    Ok(plan.draft.finish())
}

impl<'a> Reinstall<'a> {
    /// Returns the builder that has a node, of whatever generation.
    fn builder_of(&self, node: Option<&NodeName>) -> Option<&'a BuilderRecord> {
        let wanted = node?.base();
        let has_it = |record: &Record| record.nodes.iter().any(|node| node.name.base() == wanted);
        self.store
            .builders
            .iter()
            .find(|builder| builder.record.known().is_some_and(has_it))
    }

    /// Puts a node on the archived state in the place of the builder's present one; its other nodes stay.
    fn renew_with(
        &mut self,
        builder: &BuilderRecord,
        origin: Option<&NodeName>,
        source: &StateSource,
    ) -> Result<(), NoPlan> {
        let refused = |why: &str| NoPlan::NoRestore {
            builder: builder.name.clone(),
            why: why.to_owned(),
        };
        let record = builder
            .record
            .known()
            .ok_or_else(|| refused("its record does not parse; `rekit reinstall` rebuilds it"))?;
        if record.driver != CONTAINER_DRIVER {
            return Err(refused("its nodes are no containers"));
        }
        let is_origin = |node: &&NodeRecord| origin.is_some_and(|it| it.base() == node.name.base());
        let node = match (record.nodes.iter().find(is_origin), &record.nodes[..]) {
            (Some(node), _) => node,
            (None, [only]) => only,
            _ => {
                return Err(refused(
                    "it has several nodes, and none bears the archive's name",
                ));
            }
        };
        let host = node
            .host
            .clone()
            .filter(|host| self.ground.engine(host).is_some())
            .ok_or_else(|| refused("its engine does not answer"))?;
        let edit = NodeEdit {
            name: self.new_name(&node.name),
            replaces: Some(node.name.clone()),
            endpoint: None,
            settings: None,
        };
        let kept = record.nodes.iter().filter(|other| other.name != node.name);
        let kept: Vec<_> = kept.map(as_it_is).collect();
        let renewal = Renewal {
            state: Some(BootState::Archived {
                source: source.clone(),
            }),
            ..self.beside(edit, host, image_of(node), &node.name)
        };
        self.switch_some(&builder.name, &builder.file.path, vec![renewal], kept);
        Ok(())
    }
}
