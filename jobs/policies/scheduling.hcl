# What a service may do in Nomad that has a scheduler: look at jobs, and scale them.
#
# nomad acl policy apply -namespace default -job mirage-discovery mirage-discovery jobs/policies/scheduling.hcl

namespace "default" {
  capabilities = ["list-jobs", "read-job", "read-job-scaling", "scale-job"]
}
