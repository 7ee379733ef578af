//! What an owner decides about the home itself, written by the hub that is asked: the policy, and which hubs are fenced.
//!
//! These are records like any other, with history and conflicts; only clients may not write their types.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Output;
use super::group::Group;
use crate::domain::{MEMBER, Manifest, POLICY, POLICY_ID, SEMANTICS};
use crate::entry::{ChangeSet, Sealed};
use crate::id::{HubId, Id};
use crate::limits::Limits;
use crate::machine::{Act, Landed, Ticket, load_graph, load_view};
use crate::record::{Kind, Parent};
use crate::store::StoreError;
use crate::value::{Map, Value, canonical};
use crate::wire::Problem;

/// What was decided, or why not.
type Decided<T> = Result<Result<T, Problem>, StoreError>;

impl Group<'_> {
    /// Does what an owner asks; the answer follows from durability.
    pub fn govern(&mut self, ticket: Ticket, act: Act) -> Result<(), StoreError> {
        let decided = if self.state.meta.replica.is_none() || !self.state.policy.is_held() {
            let detail =
                "this hub has no home yet, or not its rules: try again when it has met one of its seeds";
            Err(Problem::new(503, "No home yet", "no_home", detail))
        } else {
            match act {
                Act::Policy {
                    content,
                    heads,
                    user_id,
                } => self.set_policy(content, heads, user_id)?,
                Act::Fence {
                    hub_id,
                    fenced,
                    user_id,
                } => self.fence(hub_id, fenced, user_id)?,
            }
        };
        let result = match decided {
            Err(problem) => Err(problem),
            Ok((sealed, known)) => {
                if !known {
                    self.write_own(&ChangeSet {
                        records: vec![sealed.clone()],
                    })?;
                }
                Ok(Landed {
                    id: sealed.record.id.clone(),
                    version: sealed.record.version.clone(),
                    digest: sealed.digest,
                    entity: true,
                    known,
                    contested: false,
                })
            }
        };
        self.follow.push(Output::Governed { ticket, result });
        Ok(())
    }

    /// A new policy on top of the one in force: all of its heads, so that the change settles them.
    fn set_policy(
        &mut self,
        content: Map,
        seen: Option<BTreeSet<String>>,
        user_id: Option<String>,
    ) -> Decided<(Arc<Sealed>, bool)> {
        let bad = |detail: String| Ok(Err(Problem::bad_request("bad_policy", detail)));
        let manifest = match Manifest::from_content(&content) {
            Ok(manifest) => manifest,
            Err(error) => return bad(error.to_string()),
        };
        if manifest.semantics != SEMANTICS {
            return bad(format!(
                "domain.semantics {} is not known here; this hub knows {SEMANTICS}: update it first",
                manifest.semantics
            ));
        }
        // The protocol's own bounds, as for every record: what is beyond them could not be read again.
        let (bytes, most) = (canonical(&content).len(), Limits::default().content_bytes_max);
        if bytes > most {
            let detail = format!("the policy has {bytes} bytes; at most {most}");
            return Ok(Err(Problem::bad_request("limit_content", detail)));
        }
        let Ok(id) = Id::new(POLICY_ID) else {
            return bad(format!("{POLICY_ID} is no id"));
        };
        let graph = load_graph(&self.overlay, &id)?;
        let heads = graph.heads();
        if let [only] = heads[..]
            && only.sealed.record.content == content
        {
            return Ok(Ok((only.sealed.clone(), true)));
        }
        let names: BTreeSet<String> = heads
            .iter()
            .map(|head| head.sealed.record.version.to_string())
            .collect();
        if seen.is_some_and(|seen| seen != names) {
            let now: Vec<&str> = names.iter().map(String::as_str).collect();
            let detail = format!("the policy is another by now ({}): look again", now.join(", "));
            return Ok(Err(Problem::new(409, "Policy changed", "policy_changed", detail)));
        }
        let parents = heads.iter().map(|head| Parent {
            version: head.sealed.record.version.clone(),
            digest: Some(head.sealed.digest),
        });
        let parents = parents.collect();
        let name = Some(manifest.name);
        Ok(Ok((
            self.home_record(id, POLICY, name, parents, content, user_id),
            false,
        )))
    }

    /// Says of a hub that the horizon waits for it no more, or again.
    fn fence(
        &mut self,
        hub_id: HubId,
        fenced: bool,
        user_id: Option<String>,
    ) -> Decided<(Arc<Sealed>, bool)> {
        let unknown = || {
            let detail = format!("{hub_id} is no hub of this home: GET /api/v2/members lists them");
            Ok(Err(Problem::not_found(detail)))
        };
        let Ok(id) = Id::new(&hub_id.to_string()) else {
            return unknown();
        };
        self.settle_ids()?;
        let policy = self.state.policy.clone();
        let view = load_view(&self.overlay, &policy, &id)?;
        let Some(view) = view.filter(|view| view.record.entity_type() == Some(MEMBER)) else {
            return unknown();
        };
        let Kind::Entity { name, .. } = &view.record.kind else {
            return unknown();
        };
        let state = if fenced { "fenced" } else { "member" };
        let mut content = view.record.content.clone();
        if content.get("state").and_then(Value::as_text) == Some(state) && !view.conflict {
            return Ok(Ok((Arc::new(Sealed::new(view.record)), true)));
        }
        content.insert("state".to_owned(), Value::from(state));
        let record = self.home_record(id, MEMBER, name.clone(), view.heads, content, user_id);
        Ok(Ok((record, false)))
    }
}
