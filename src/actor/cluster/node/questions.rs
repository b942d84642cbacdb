//! Questions of the operator, which any node answers for the whole cluster.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use super::NodeDirectory;
use crate::actor::cluster::other_node::OtherNode;
use crate::actor::message::{
    Dying, Gathered, Ids, IdsOf, Kick, KickFrom, Summarise, SummariseAll, Summary,
};
use crate::actor::page::Page;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::entry::{Answer, Entry, PageSummary, Question};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{PageName, PeerId};

/// Time that other nodes have for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

type Answers = UnboundedSender<(NodeId, Answer)>;

/// Questions to other nodes that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: u64,
    open: HashMap<u64, Answers>,
}

/// The answers of other nodes to one question, as they come.
struct Pending {
    answers: UnboundedReceiver<(NodeId, Answer)>,
    waiting: HashSet<NodeId>,
    until: Instant,
}

impl Questions {
    fn ask(&mut self, others: &[Arc<OtherNode>], question: &Question) -> Pending {
        self.open.retain(|_, answers| !answers.is_closed());
        self.last += 1;
        let (answers, pending) = unbounded_channel();
        self.open.insert(self.last, answers);
        for other in others {
            let question = question.clone();
            other.say(&Entry::Question { number: self.last, question });
        }
        Pending {
            answers: pending,
            waiting: others.iter().map(|other| other.node()).collect(),
            until: Instant::now() + ANSWER_WITHIN,
        }
    }

    /// Takes an answer.
    pub(super) fn answered(&self, from: NodeId, number: u64, answer: Answer) {
        if let Some(answers) = self.open.get(&number) {
            // nobody waits any more if this is too late
            let _ = answers.send((from, answer));
        }
    }
}

impl Pending {
    /// Returns the next answer, or nothing when all have answered or the time is over.
    async fn next(&mut self) -> Option<Answer> {
        while !self.waiting.is_empty() {
            let (from, answer) = timeout_at(self.until, self.answers.recv()).await.ok()??;
            if answer != Answer::NotYet && self.waiting.remove(&from) {
                return Some(answer);
            }
        }
        None
    }

    fn missing(self) -> Vec<NodeId> {
        self.waiting.into_iter().collect()
    }
}

async fn ids(page: Option<Addr<Page>>) -> Result<Option<Vec<PeerId>>, Dying> {
    match page {
        Some(page) => page.send(Ids).await.unwrap_or(Err(Dying)).map(Some),
        None => Ok(None),
    }
}

async fn kick(page: Option<Addr<Page>>, id: PeerId) -> Result<Option<bool>, Dying> {
    match page {
        Some(page) => page.send(Kick(id)).await.unwrap_or(Err(Dying)).map(Some),
        None => Ok(None),
    }
}

async fn summaries(pages: Vec<Addr<Page>>) -> Result<Vec<Summary>, Dying> {
    let answers = join_all(pages.iter().map(|page| page.send(Summarise))).await;
    let answers = answers.into_iter().map(|answer| answer.unwrap_or(Err(Dying)));
    let answers: Vec<_> = answers.collect::<Result<_, _>>()?;
    Ok(answers.into_iter().flatten().collect())
}

fn to_entry(summary: Summary) -> Option<PageSummary> {
    let page = PageName::parse(&summary.page).ok()?;
    let host = summary.epoch.zip(summary.host).map(|(epoch, host)| Claim { epoch, host });
    Some(PageSummary { page, host, members: summary.members as u64 })
}

fn of_entry(PageSummary { page, host, members }: PageSummary) -> Summary {
    let (epoch, host) = host.map(|claim| (claim.epoch, claim.host)).unzip();
    let members = usize::try_from(members).unwrap_or(usize::MAX);
    Summary { page: page.as_str().to_owned(), host, epoch, members }
}

impl NodeDirectory {
    /// Answers a question of another node.
    pub(super) fn answer(
        &self,
        from: NodeId,
        number: u64,
        question: Question,
        ctx: &mut Context<Self>,
    ) {
        let Some(other) = self.tables.others.get(from) else { return };
        let here = |page| self.pages.get(page).map(|here| here.actor.clone());
        let all = self.pages.values().map(|here| here.actor.clone()).collect();
        let here = match &question {
            Question::Pages => None,
            Question::Peers(page) | Question::Kick { page, .. } => here(page),
        };
        let answering = async move {
            let answer = match question {
                Question::Pages => summaries(all)
                    .await
                    .map(|all| Answer::Pages(all.into_iter().filter_map(to_entry).collect())),
                Question::Peers(_) => ids(here).await.map(Answer::Peers),
                Question::Kick { id, .. } => kick(here, id).await.map(Answer::Kicked),
            };
            let answer = answer.unwrap_or(Answer::NotYet);
            other.say(&Entry::Answer { number, answer });
        };
        ctx.spawn(answering.into_actor(self));
    }

    fn ask(&mut self, question: &Question) -> Pending {
        self.questions.ask(&self.tables.others.all(), question)
    }
}

impl Handler<IdsOf> for NodeDirectory {
    type Result = ResponseFuture<Result<Gathered<Vec<PeerId>>, Dying>>;

    fn handle(&mut self, IdsOf(key): IdsOf, _: &mut Self::Context) -> Self::Result {
        if let Some(here) = self.pages.get(&key) {
            let answer = ids(Some(here.actor.clone()));
            return Box::pin(async move { Ok(Gathered::whole(answer.await?.unwrap_or_default())) });
        }
        let mut pending = self.ask(&Question::Peers(key));
        Box::pin(async move {
            while let Some(answer) = pending.next().await {
                if let Answer::Peers(Some(ids)) = answer {
                    return Ok(Gathered::whole(ids));
                }
            }
            Ok(Gathered { answer: Vec::new(), missing: pending.missing() })
        })
    }
}

impl Handler<KickFrom> for NodeDirectory {
    type Result = ResponseFuture<Result<Gathered<bool>, Dying>>;

    fn handle(&mut self, KickFrom { key, id }: KickFrom, _: &mut Self::Context) -> Self::Result {
        if let Some(here) = self.pages.get(&key) {
            let answer = kick(Some(here.actor.clone()), id);
            return Box::pin(async move { Ok(Gathered::whole(answer.await?.unwrap_or_default())) });
        }
        let mut pending = self.ask(&Question::Kick { page: key, id });
        Box::pin(async move {
            while let Some(answer) = pending.next().await {
                if let Answer::Kicked(Some(is_kicked)) = answer {
                    return Ok(Gathered::whole(is_kicked));
                }
            }
            Ok(Gathered { answer: false, missing: pending.missing() })
        })
    }
}

impl Handler<SummariseAll> for NodeDirectory {
    type Result = ResponseFuture<Result<Gathered<Vec<Summary>>, Dying>>;

    fn handle(&mut self, _: SummariseAll, _: &mut Self::Context) -> Self::Result {
        let own = summaries(self.pages.values().map(|here| here.actor.clone()).collect());
        let mut pending = self.ask(&Question::Pages);
        Box::pin(async move {
            let mut all = own.await?;
            while let Some(answer) = pending.next().await {
                if let Answer::Pages(pages) = answer {
                    all.extend(pages.into_iter().map(of_entry));
                }
            }
            all.sort_by(|a, b| a.page.cmp(&b.page));
            Ok(Gathered { answer: all, missing: pending.missing() })
        })
    }
}

#[cfg(feature = "faults")]
impl Handler<crate::actor::message::Fault> for NodeDirectory {
    type Result = bool;

    fn handle(&mut self, fault: crate::actor::message::Fault, _: &mut Self::Context) -> bool {
        let crate::actor::message::Fault { key, message } = fault;
        self.tell_page(&key, message);
        self.pages.contains_key(&key)
    }
}
