"""Fast inference for one host: a compiled route on the CPU, a compiled network on a GPU, the plain network otherwise."""

from definet_flows.definet.inference.forward import Forward, ModuleForward, prepare
from definet_flows.definet.inference.network import FastNetwork

__all__ = ["FastNetwork", "Forward", "ModuleForward", "prepare"]
