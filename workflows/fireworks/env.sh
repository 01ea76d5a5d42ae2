# Makes FireWorks, jobflow, atomate2 and definet-flows use this folder:  source @{environment_shell}
# Jobs source it too (pre_rocket in the qadapter files), so what every job needs can go here.
export DEFINET_FLOWS_CONFIG_DIR=@{folder_shell}
export FW_CONFIG_FILE="$DEFINET_FLOWS_CONFIG_DIR/FW_config.yaml"
export JOBFLOW_CONFIG_FILE="$DEFINET_FLOWS_CONFIG_DIR/jobflow.yaml"
export ATOMATE2_CONFIG_FILE="$DEFINET_FLOWS_CONFIG_DIR/atomate2.yaml"
# Where jobs run: a file system that all nodes share.
export DEFINET_FLOWS_LAUNCH_DIR=@{launches_shell}

# The Python environment that definet-flows is installed in.
export PATH=@{python_shell}:"$PATH"

# Where POTCARs are (pmg config -p SOURCE TARGET makes such a folder); a line in ~/.config/.pmgrc.yaml does as well.
# export PMG_VASP_PSP_DIR="$HOME/potcars"
@login?
@login?# User and password of the database. Export them yourself, or keep these two lines in secrets.sh beside this file (chmod 600):
@login?#   export @{user_variable}=...
@login?#   export @{password_variable}=...
@login?if [ -r "$DEFINET_FLOWS_CONFIG_DIR/secrets.sh" ]; then . "$DEFINET_FLOWS_CONFIG_DIR/secrets.sh"; fi
