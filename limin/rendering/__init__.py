"""Values as a person sees them: terminal, HTML, progress. Only here is rich imported."""
