//! `obf demo`: the AIS-140 story (SPEC Appendix I). Operator, tracking server and vehicle are the same code as in any
//! deployment; only sockets lie between them, and what the story cannot wait for is a clock that it may move.

mod capture;
mod frames;
mod sabotage;
mod scene;
mod story;
mod tracking;
mod wire;
mod world;

use crate::{
    cli::Context,
    failure::{Failure, Outcome},
    signals::Signals,
};
use clap::Args;
use sabotage::Sabotage;
use scene::Scene;
use serde_json::json;
use story::Story;
use world::World;

const EXAMPLES: &str = "\
Examples:
  obf demo
  obf demo --keep          leaves the servers running, with commands to try
  obf demo --json          one object a step

Exit 0 only if every step held; otherwise 1, naming the step.";

/// The whole story on this machine, with real sockets; each step said and verified.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// Leave everything running afterwards, until SIGINT or SIGTERM.
    #[arg(long)]
    keep: bool,
    /// Let something go wrong: the story must notice.
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
}

impl Demo {
    /// Tells it.
    pub async fn run(self, context: &Context) -> Outcome {
        let mut story = Story::begin(context.out);
        let (mut world, mut scene) = (None, None);
        let deploy = async {
            let deployed = World::start(self.sabotage).await?;
            let facts = deployed.listeners();
            world = Some(deployed);
            Ok(facts)
        };
        story.step("deployment", "An operator sets up its servers.", deploy).await?;
        let world = world.ok_or_else(|| Failure::other("demo", "nothing was deployed"))?;
        let set = Scene::set(world, self.sabotage, &mut scene);
        story
            .step("provision", "It takes in two SIMs and two applications, and permits one application.", set)
            .await?;
        let mut scene = scene.ok_or_else(|| Failure::other("demo", "the scene was not set"))?;
        let told = tell(&mut story, &mut scene).await;
        if told.is_ok() {
            story.end();
            if self.keep {
                keep(context, &scene).await?;
            }
        }
        scene.end().await;
        told
    }
}

async fn tell(story: &mut Story, scene: &mut Scene) -> Outcome {
    story
        .step("demand", "The tracking server talks to nobody who has not bootstrapped.", scene.demand())
        .await?;
    story
        .step(
            "bootstrap",
            "Vehicle and operator authenticate each other with the SIM's key.",
            scene.bootstrap(),
        )
        .await?;
    story
        .step(
            "connect",
            "The tracking server, which never knew the vehicle, trusts it: TLS-PSK.",
            scene.connect(),
        )
        .await?;
    story
        .step(
            "frames",
            "Every frame that real devices send arrives, is decoded, or refused by field.",
            scene.frames(),
        )
        .await?;
    story
        .step(
            "tamper",
            "One bit changed on the way ends the connection; nothing of it is believed.",
            scene.tamper(),
        )
        .await?;
    story
        .step(
            "command",
            "The server changes a setting of the vehicle, and is told so (alert 12).",
            scene.command(),
        )
        .await?;
    story
        .step(
            "permission",
            "An application that the vehicle is not permitted for gets no key.",
            scene.permission(),
        )
        .await?;
    story.step("replay", "A bootstrap sent once more is worth nothing.", scene.replay()).await?;
    story
        .step("expiry", "The key expires; the vehicle bootstraps again without being asked.", scene.expiry())
        .await?;
    story
        .step(
            "revocation",
            "The operator revokes the vehicle; its connection is cut at once.",
            scene.revocation(),
        )
        .await
}

async fn keep(context: &Context, scene: &Scene) -> Outcome {
    let commands = scene.commands();
    let said = json!({"event": "kept", "commands": commands});
    context.out.say(&said, || {
        let lines: String = commands.iter().map(|command| format!("\n  {command}")).collect();
        format!("\nEverything is still running. Ctrl-C ends it. Try:{lines}")
    });
    Signals::new()?.any().await;
    Ok(())
}
