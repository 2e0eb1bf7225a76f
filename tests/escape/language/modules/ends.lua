escalate "from a module"
