use crate::{Denial, Exchange, Host, Mode, Next, Options, Reply, Side, Stage, publish};

/// One callback of the proxy: the stages and what they work on.
pub(crate) struct Turn<'a> {
    /// Outermost first.
    pub(crate) stages: &'a [Box<dyn Stage>],
    pub(crate) exchange: &'a mut Exchange,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) options: Options,
}

impl Turn<'_> {
    /// Shows the request's headers to the stages from that of index `from` inwards; a refusal of an observing stage is
    /// noted and the next stage runs.
    pub(crate) fn ask(&mut self, from: usize) -> Result<Asked, Denial> {
        let stages = self.stages;
        for (index, stage) in stages.iter().enumerate().skip(from) {
            match stage.request_headers(self.exchange, self.host) {
                Ok(Next::On) => {}
                Ok(Next::Reply(reply)) => return Ok(Asked::Reply(reply)),
                Ok(Next::Wait) => return Ok(Asked::Wait { stage: index }),
                Err(denial) => self.carried_out(stage.as_ref(), Err(denial))?,
            }
        }
        Ok(Asked::All)
    }

    /// Runs a request hook of every stage, outermost first; a refusal of an observing stage is noted and the next
    /// stage runs.
    pub(crate) fn inwards(
        &mut self,
        hook: impl Fn(&dyn Stage, &mut Exchange, &mut dyn Host) -> Result<(), Denial>,
    ) -> Result<(), Denial> {
        let stages = self.stages;
        stages.iter().try_for_each(|stage| {
            let outcome = hook(stage.as_ref(), self.exchange, self.host);
            self.carried_out(stage.as_ref(), outcome)
        })
    }

    /// Runs a response hook of every stage, innermost first, as [`Turn::inwards`] does.
    pub(crate) fn outwards(
        &mut self,
        mut hook: impl FnMut(&dyn Stage, &mut Exchange, &mut dyn Host) -> Result<(), Denial>,
    ) -> Result<(), Denial> {
        let stages = self.stages;
        stages.iter().rev().try_for_each(|stage| {
            let outcome = hook(stage.as_ref(), self.exchange, self.host);
            self.carried_out(stage.as_ref(), outcome)
        })
    }

    fn carried_out(&mut self, stage: &dyn Stage, outcome: Result<(), Denial>) -> Result<(), Denial> {
        match (outcome, stage.mode()) {
            (Err(denial), Mode::Observe) => {
                self.note(&denial);
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    /// Whether any stage reads request bodies, and whether one of them means its refusals.
    pub(crate) fn request_readers(&self) -> Readers {
        Readers::of(self.stages, |stage| stage.reads_request(self.exchange))
    }

    /// Whether any stage reads response bodies, and whether one of them means its refusals.
    pub(crate) fn response_readers(&self) -> Readers {
        Readers::of(self.stages, |stage| stage.reads_response(self.exchange))
    }

    /// Whether any stage looks at bytes, and whether one of those means its refusals.
    pub(crate) fn observers(&self) -> Readers {
        Readers::of(self.stages, |stage| stage.observes_bytes())
    }

    /// What the proxy shows of a body; it is not asked for nothing.
    pub(crate) fn body(&self, side: Side, size: usize) -> Result<Vec<u8>, Denial> {
        if size == 0 { Ok(Vec::new()) } else { Ok(self.host.body(side, size)?) }
    }

    pub(crate) fn observe_request(&mut self, bytes: &[u8]) {
        for stage in self.stages.iter().filter(|stage| stage.observes_bytes()) {
            stage.request_bytes(self.exchange, bytes);
        }
    }

    pub(crate) fn observe_response(&mut self, bytes: &[u8]) {
        for stage in self.stages.iter().filter(|stage| stage.observes_bytes()) {
            stage.response_bytes(self.exchange, bytes);
        }
    }

    /// Puts a refusal on record that is not carried out.
    pub(crate) fn note(&mut self, denial: &Denial) {
        if self.exchange.facts.note(denial) {
            self.host.count(&format!("observed.{}", denial.reason));
        }
    }

    /// Puts a refusal on record for later stages and filters and for the proxy's own logs.
    pub(crate) fn record_refusal(&mut self, denial: &Denial, answer_withheld: bool) {
        publish(self.host, "decision", "deny");
        publish(self.host, "reason", denial.reason);
        if let Some(rule) = &denial.rule {
            publish(self.host, "rule", rule);
        }
        self.host.count(&format!("refused.{}", denial.reason));
        self.exchange.facts.refuse(denial, answer_withheld);
    }
}

/// What came of asking the stages for the headers.
pub(crate) enum Asked {
    /// All of them let the request go on.
    All,
    /// One of them answers.
    Reply(Reply),
    /// The stage of that index has to be asked again.
    Wait { stage: usize },
}

/// Who reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// No stage.
    None,
    /// Only stages that observe: nothing may be changed or refused on their account.
    Observing,
    /// A stage that means its refusals, and perhaps others.
    Enforcing,
}

impl Readers {
    fn of(stages: &[Box<dyn Stage>], reads: impl Fn(&dyn Stage) -> bool) -> Self {
        let mut readers = stages.iter().filter(|stage| reads(stage.as_ref())).peekable();
        if readers.peek().is_none() {
            return Self::None;
        }
        if readers.any(|stage| stage.mode() == Mode::Enforce) { Self::Enforcing } else { Self::Observing }
    }
}
